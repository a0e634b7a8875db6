// SPDX-License-Identifier: Apache-2.0

/// The value of `search_path` as PostgreSQL reads it (`SplitIdentifierString` in `varlena.c`).
enum SearchPath {
    /// The schemas' names in order; `nil` for what the server refuses, and for names whose characters are not known, since
    /// the session's encoding is another one than UTF-8: passed over, they would leave another schema's tables to be found.
    static func names(_ value: String, user: String?) -> [String]? {
        guard !value.unicodeScalars.contains(where: isUnknown) else { return nil }
        var names: [String] = []
        var rest = value.unicodeScalars[...]
        func skipBlanks() { while let first = rest.first, first.properties.isWhitespace { rest.removeFirst() } }
        skipBlanks()
        if rest.isEmpty { return [] }
        while true {
            skipBlanks()
            var name = String.UnicodeScalarView()
            var isQuoted = false
            if rest.first == "\"" {
                isQuoted = true
                rest.removeFirst()
                while true {
                    guard let next = rest.popFirst() else { return nil }
                    if next == "\"" {
                        guard rest.first == "\"" else { break }
                        rest.removeFirst()
                    }
                    name.append(next)
                }
            } else {
                while let next = rest.first, next != ",", !next.properties.isWhitespace {
                    // Folded as identifiers are: ASCII letters only.
                    name.append(("A"..."Z").contains(next) ? Unicode.Scalar(UInt8(next.value) | 0x20) : next)
                    rest.removeFirst()
                }
                if name.isEmpty { return nil }
            }
            let text = String(name)
            if text == "$user" {
                if let user { names.append(user) }
            } else if !text.isEmpty || isQuoted {
                names.append(text)
            }
            skipBlanks()
            guard let separator = rest.popFirst() else { return names }
            guard separator == "," else { return nil }
        }
    }

    /// U+FFFD stands for bytes that are not UTF-8, and code points of private use for characters of other encodings.
    private static func isUnknown(_ character: Unicode.Scalar) -> Bool {
        character == "\u{FFFD}" || character.properties.generalCategory == .privateUse
    }

    /// The path in which names are looked up.
    ///
    /// pg_catalog is first unless it is listed. Temporary schemas are left out: a replica has none.
    static func effective(_ names: [String]) -> [String] {
        let listed = names.filter { !$0.hasPrefix("pg_temp") }
        return listed.contains("pg_catalog") ? listed : ["pg_catalog"] + listed
    }
}
