// SPDX-License-Identifier: Apache-2.0
import Glibc
import Quotas

/// Reads a time zone as the system has it (TZif, RFC 8536): no more of it than calendar windows need.
enum ZoneFile {
    private static let folder = "/usr/share/zoneinfo/"

    static func zone(_ node: StrictNode) throws(SettingsError) -> ZoneTable {
        let name = try node.text("'quota.time_zone'")
        if name == "UTC" { return .utc }
        let isSane = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/_+-".contains($0)) }
        guard isSane, !name.hasPrefix("/"), let bytes = read(folder + name) else {
            throw node.error(
                "'quota.time_zone': there is no '\(name)' in \(folder); "
                    + "name one such as Europe/Berlin, or install tzdata."
            )
        }
        guard let zone = parse(bytes, name) else {
            throw node.error("'quota.time_zone': \(folder)\(name) is not a time zone file.")
        }
        return zone
    }

    /// The changes in a file's 64-bit part, and those that its rule for later times gives up to 2100.
    static func parse(_ bytes: [UInt8], _ name: String) -> ZoneTable? {
        guard let first = Header(bytes, at: 0), first.version >= 2,
            let header = Header(bytes, at: Header.size + first.length(timeSize: 4))
        else { return nil }
        let start = header.end
        let types = start + header.times * 9
        func offset(_ type: Int) -> Int64? {
            guard type < header.types else { return nil }
            return big(bytes, types + type * 6, 4).map { Int64(Int32(truncatingIfNeeded: $0)) }
        }
        var changes: [ZoneTable.Change] = []
        for index in 0..<header.times {
            guard let time = big(bytes, start + index * 8, 8), start + header.times * 8 + index < bytes.count,
                let offset = offset(Int(bytes[start + header.times * 8 + index]))
            else { return nil }
            changes.append(ZoneTable.Change(from: time, offset: offset))
        }
        guard let before = offset(0) else { return nil }
        let footer = bytes.dropFirst(start + header.length(timeSize: 8)).dropFirst().prefix { $0 != 0x0A }
        let last = changes.last?.from ?? .min
        if let rule = ZoneRule(String(decoding: footer, as: UTF8.self)) {
            changes += (1970...2100).flatMap { rule.changes(in: $0) }.filter { $0.from > last }
        }
        return ZoneTable(name: name, first: before, changes: changes)
    }

    private struct Header {
        static let size = 44
        let version: Int
        let end: Int
        let isUTC: Int, isStandard: Int, leaps: Int, times: Int, types: Int, characters: Int

        init?(_ bytes: [UInt8], at start: Int) {
            guard start >= 0, start + Self.size <= bytes.count, Array(bytes[start..<start + 4]) == Array("TZif".utf8)
            else { return nil }
            version = Int(bytes[start + 4]) - 0x30
            let counts = (0..<6).compactMap { big(bytes, start + 20 + $0 * 4, 4).map { Int($0) } }
            guard counts.count == 6, counts.allSatisfy({ $0 >= 0 && $0 <= 100_000 }) else { return nil }
            (isUTC, isStandard, leaps) = (counts[0], counts[1], counts[2])
            (times, types, characters) = (counts[3], counts[4], counts[5])
            end = start + Self.size
        }

        func length(timeSize: Int) -> Int {
            times * (timeSize + 1) + types * 6 + characters + leaps * (timeSize + 4) + isStandard + isUTC
        }
    }

    private static func big(_ bytes: [UInt8], _ start: Int, _ count: Int) -> Int64? {
        guard start >= 0, start + count <= bytes.count else { return nil }
        return Int64(bitPattern: bytes[start..<start + count].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }
}
