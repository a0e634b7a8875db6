// SPDX-License-Identifier: Apache-2.0

/// Names of users as PgBouncer's files hold them.
public enum UserName {
    /// What a name of PostgreSQL has room for (NAMEDATALEN - 1), in bytes.
    public static let longest = 63

    /// Whether a name can be written as it is: letters, digits and `_.*-` of ASCII.
    public static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= longest && name.utf8.allSatisfy(isPlain)
    }

    /// Why no version of PgBouncer, or not this one, can have a line for that name; `nil`: it can.
    ///
    /// `version`: the oldest that is to read it; `nil` where it is not known, which allows plain names only.
    public static func refusal(_ name: String, version: PgBouncerVersion?) -> String? {
        // In its other sections it stands for all that are not named.
        if name == "*" { return "'*' may mean every user to PgBouncer" }
        if isPlain(name) { return nil }
        if name.isEmpty { return "a user without a name" }
        if name.utf8.count > longest { return "the name is longer than \(longest) bytes" }
        let isHostile = name.unicodeScalars.contains { scalar in
            // A replacement character says that the real bytes are others.
            scalar == "'" || scalar.value < 0x20 || scalar.value == 0x7F || scalar == "\u{FFFD}"
        }
        if isHostile { return "the name holds a quote, a control character or bytes that are not UTF-8" }
        guard let version, version.quotesNames else {
            return "PgBouncer before 1.25 has no quotes for such a name: upgrade it, or rename the user"
        }
        return nil
    }

    /// The name as a line begins with it; only for one that is not refused.
    static func written(_ name: String) -> String { isPlain(name) ? name : "'\(name)'" }

    /// The name at the start of a line, and what follows the `=` after it; `nil` where there is none.
    ///
    /// By bytes: a quote and an accent after it would be one `Character`.
    static func read(_ line: Substring) -> (name: String, rest: Substring)? {
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        let quote = UInt8(ascii: "'")
        var rest = line.utf8.drop(while: isBlank)
        let name: Substring.UTF8View
        if rest.first == quote {
            name = rest.dropFirst().prefix { $0 != quote }
            guard name.endIndex < rest.endIndex else { return nil }
            rest = rest[name.endIndex...].dropFirst()
        } else {
            name = rest.prefix(while: isPlain)
            rest = rest[name.endIndex...]
        }
        rest = rest.drop(while: isBlank)
        guard !name.isEmpty, rest.first == UInt8(ascii: "=") else { return nil }
        return (String(Substring(name)), Substring(rest.dropFirst()))
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "*"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension String {
    /// Whether two names are the same bytes: Swift's `==` takes different ways to write an accent for one.
    func isSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
    /// Orders by bytes, the same on every machine.
    func precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}
