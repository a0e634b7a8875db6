// SPDX-License-Identifier: Apache-2.0
public import Domain

/// One line of text with a version in front and a checksum at its end: to be read in `redis-cli` too, and refused as a whole where it is damaged.
extension StoredPrice {
    private static let version = "1"

    /// The price as text.
    public var text: String {
        let fields: [String] = [
            Self.version, method.rawValue, String(cost.micro), Self.number(rows), String(width),
            tables.joined(separator: ","),
            shape, String(version), String(priced.nanoseconds), failure, String(failures),
            former.map { "\($0.cost.micro)@\($0.until.nanoseconds)" }.joined(separator: ","),
            Self.number(learned.ratio), Self.number(learned.weight),
            Self.number(learned.time), String(learned.runs), fingerprint.description, database,
            String(limit.rawValue), String(offset.rawValue), pattern,
        ]
        let body = fields.map(Self.escape).joined(separator: "\t")
        return body + "\t" + Self.checksum(body)
    }

    /// Against damage, not against malice: who writes the store sets prices.
    private static func checksum(_ body: some StringProtocol) -> String {
        KeyedHash.standard.hash(Array(body.utf8).rawSpan).description
    }

    /// Reads ``text``; `nil` for a newer version or a damaged text: then it is as if there were no price.
    public init?(key: Fingerprint, text: String) {
        guard let end = text.utf8.lastIndex(of: 0x09),
            text[text.utf8.index(after: end)...] == Self.checksum(text[..<end])
        else { return nil }
        let fields = text[..<end].split(separator: "\t", omittingEmptySubsequences: false).map(Self.unescape)
        guard fields.count == 21, fields[0] == Self.version, let method = PriceMethod(rawValue: fields[1]),
            let cost = Int64(fields[2]), cost >= 0, let rows = Self.finite(fields[3]), let width = Int(fields[4]),
            let version = Int(fields[7]), let priced = Int64(fields[8]), let failures = Int(fields[10]), failures >= 0,
            let ratio = Self.finite(fields[12]), let weight = Self.finite(fields[13]), weight >= 0,
            let time = Self.finite(fields[14]), let runs = UInt64(fields[15]),
            let fingerprint = Fingerprint(fields[16]), let limit = UInt8(fields[18]).flatMap({ Decade(rawValue: $0) }),
            let offset = UInt8(fields[19]).flatMap({ Decade(rawValue: $0) })
        else { return nil }
        self.init(
            key: key,
            fingerprint: fingerprint,
            pattern: fields[20],
            database: fields[17],
            method: method,
            cost: CostUnits(micro: cost),
            priced: Timestamp(nanoseconds: priced)
        )
        (self.rows, self.width, self.version) = (max(0, rows), max(0, width), version)
        tables = fields[5].isEmpty ? [] : fields[5].split(separator: ",").map(String.init)
        shape = fields[6]
        (failure, self.failures) = (fields[9], failures)
        restore(former: fields[11].split(separator: ",").compactMap { Self.former($0, priced) })
        learned = LearnedCost(ratio: ratio, weight: weight, time: time, runs: runs)
        (self.limit, self.offset) = (limit, offset)
    }

    /// Such as `12500000@1764172800000000000`; the time is missing in texts of earlier builds.
    private static func former(_ text: Substring, _ priced: Int64) -> FormerCost? {
        let parts = text.split(separator: "@")
        guard let micro = parts.first.flatMap({ Int64($0) }), micro >= 0 else { return nil }
        let until = parts.count > 1 ? Int64(parts[1]) : priced
        return until.map { FormerCost(cost: CostUnits(micro: micro), until: Timestamp(nanoseconds: $0)) }
    }

    private static func number(_ value: Double) -> String { String(value) }

    private static func finite(_ text: String) -> Double? { Double(text).flatMap { $0.isFinite ? $0 : nil } }

    private static func escape(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x09 || $0 == 0x0A || $0 == 0x0D || $0 == 0x5C }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\t": result += "\\t"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\\": result += "\\\\"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func unescape(_ text: Substring) -> String {
        guard text.utf8.contains(0x5C) else { return String(text) }
        var result = ""
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if isEscaped {
                isEscaped = false
                switch scalar {
                case "t": result += "\t"
                case "n": result += "\n"
                case "r": result += "\r"
                default: result.unicodeScalars.append(scalar)
                }
            } else if scalar == "\\" {
                isEscaped = true
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
