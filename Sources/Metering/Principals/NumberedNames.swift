// SPDX-License-Identifier: Apache-2.0

/// Numbers from 1 for names that stay: those of databases and of roles.
///
/// Number 0 has no name, and is that of names beyond the limit.
struct NumberedNames {
    private var index: [String: Int32] = [:]
    private var names = [""]
    /// Numbers are smaller than this.
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// The number of a name, a new one for one that is not known.
    mutating func number(of name: String) -> Int32 {
        if let known = index[name] { return known }
        guard names.count < limit else { return 0 }
        names.append(name)
        index[name] = Int32(names.count - 1)
        return Int32(names.count - 1)
    }

    /// The name of a number that this gave out.
    subscript(number: Int32) -> String { names[Int(number)] }
}
