// SPDX-License-Identifier: Apache-2.0

/// Numbers for names of applications, which any client makes up: so they are given out again once no connection has them.
struct ApplicationNames {
    private var index: [String: Int32] = ["": 0]
    private var names = [""]
    private var free: [Int32] = []
    /// Names that were taken out of reach, until it is known which of them connections have.
    private var condemned: [String: Int32] = [:]
    /// A name found no number, or the last one is taken.
    private(set) var wantsRoom = false

    /// More names at once than this are not told.
    static var limit: Int { 1 << 14 }

    /// The number of a name; 0, the number of no name, where there is none left.
    mutating func number(of name: String) -> Int32 {
        if let known = index[name] { return known }
        guard let number = free.popLast() ?? newNumber() else {
            wantsRoom = true
            return 0
        }
        names[Int(number)] = name
        index[name] = number
        if isFull { wantsRoom = true }
        return number
    }

    private var isFull: Bool { free.isEmpty && names.count >= Self.limit }

    private mutating func newNumber() -> Int32? {
        guard names.count < Self.limit else { return nil }
        names.append("")
        return Int32(names.count - 1)
    }

    /// The name of a number that this gave out.
    subscript(number: Int32) -> String { names[Int(number)] }

    // MARK: Making room

    /// Takes all names out of reach, if there is no number left; false: there is.
    mutating func condemn() -> Bool {
        wantsRoom = false
        guard isFull else { return false }
        condemned = index.filter { $0.value > 0 }
        index = ["": 0]
        return !condemned.isEmpty
    }

    /// A connection has this number: its name stays.
    mutating func spare(_ number: Int32) {
        guard !condemned.isEmpty, number > 0 else { return }
        let name = names[Int(number)]
        if let number = condemned.removeValue(forKey: name) { index[name] = number }
    }

    /// The numbers of what is condemned still may be given out again.
    mutating func removeCondemned() {
        for number in condemned.values {
            names[Int(number)] = ""
            free.append(number)
        }
        condemned = [:]
        wantsRoom = false
    }
}
