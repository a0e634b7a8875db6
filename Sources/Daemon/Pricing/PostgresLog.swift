// SPDX-License-Identifier: Apache-2.0

/// Finds statements in PostgreSQL's log (documentation, 20.8 "Error Reporting and Logging"): what log_statement and
/// log_min_duration_statement write.
enum PostgresLog {
    /// A statement of a log.
    struct Entry: Equatable {
        var text: String
        var database: String?
        var user: String?
    }

    /// The statements of a whole log; lines of other kinds are passed over.
    static func statements(_ log: String, isCSV: Bool) -> [Entry] {
        if isCSV { return rows(log).compactMap(entry) }
        var entries: [Entry] = []
        var current: String?
        for line in log.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.first == "\t" {
                current?.append("\n" + line.dropFirst())
                continue
            }
            if let text = current { entries.append(Entry(text: text)) }
            current = nil
            if let level = line.firstRange(of: "LOG:  ") { current = statement(String(line[level.upperBound...])) }
        }
        if let text = current { entries.append(Entry(text: text)) }
        return entries
    }

    /// What stands behind `statement: `, `execute NAME: ` and the like.
    private static func statement(_ message: String) -> String? {
        var rest = message[...]
        if rest.hasPrefix("duration: ") {
            guard let end = rest.firstRange(of: " ms  ") else { return nil }
            rest = rest[end.upperBound...]
        }
        guard let colon = rest.firstRange(of: ": ") else { return nil }
        let head = rest[..<colon.lowerBound]
        guard head == "statement" || head.hasPrefix("execute ") else { return nil }
        return String(rest[colon.upperBound...])
    }

    private static func entry(_ fields: [String]) -> Entry? {
        guard fields.count > 13, let text = statement(fields[13]) else { return nil }
        return Entry(
            text: text,
            database: fields[2].isEmpty ? nil : fields[2],
            user: fields[1].isEmpty ? nil : fields[1]
        )
    }

    /// RFC 4180, with line ends inside of quotes.
    private static func rows(_ text: String) -> [[String]] {
        var rows: [[String]] = []
        var row: [String] = []
        var field: [UInt8] = []
        var isQuoted = false
        var wasQuote = false
        for byte in text.utf8 {
            if isQuoted {
                if byte == 0x22 { (isQuoted, wasQuote) = (false, true) } else { field.append(byte) }
                continue
            }
            switch byte {
            case 0x22:
                if wasQuote { field.append(0x22) }
                isQuoted = true
            case 0x2C, 0x0A:
                row.append(String(decoding: field, as: UTF8.self))
                field = []
                if byte == 0x0A {
                    rows.append(row)
                    row = []
                }
            default: field.append(byte)
            }
            wasQuote = false
        }
        return rows
    }
}
