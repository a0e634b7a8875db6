// SPDX-License-Identifier: Apache-2.0

/// A name with `*` for any characters and `?` for one, as in a shell.
public struct UserPattern: Sendable, Hashable {
    /// The pattern as it was written.
    public let text: String
    private let scalars: [Unicode.Scalar]

    /// A pattern; every text is one.
    public init(_ text: String) {
        self.text = text
        scalars = Array(text.unicodeScalars)
    }

    /// Whether a name fits; the time is bounded by the product of both lengths.
    public func matches(_ name: String) -> Bool {
        let name = Array(name.unicodeScalars)
        var (at, place) = (0, 0)
        var star: (pattern: Int, name: Int)?
        while place < name.count {
            if at < scalars.count, scalars[at] == "*" {
                star = (at, place)
                at += 1
            } else if at < scalars.count, scalars[at] == "?" || scalars[at] == name[place] {
                at += 1
                place += 1
            } else if let last = star {
                // The star takes one character more.
                star = (last.pattern, last.name + 1)
                (at, place) = (last.pattern + 1, last.name + 1)
            } else {
                return false
            }
        }
        return scalars[at...].allSatisfy { $0 == "*" }
    }
}
