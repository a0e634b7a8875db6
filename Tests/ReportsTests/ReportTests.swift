// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Metering
import Packets
import Pipeline
import TestKit
import Testing

@testable import Reports

struct ReportTests {
    static func result(_ name: String = "mix_a.pcap", workers: Int = 1) throws -> ReplayResult {
        var options = ReplayOptions(paths: [Repository.captures + "/" + name])
        options.workers = workers
        options.limits.flows = 1 << 14
        return try Replay.run(options)
    }

    /// A report without its times.
    static func stable(_ result: ReplayResult) -> String {
        let text = String(decoding: JSONReport(result, top: nil).render(), as: UTF8.self)
        return String(text[..<(text.firstRange(of: "\"performance\"")?.lowerBound ?? text.endIndex)])
    }

    @Test func `JSON is well-formed and has what is documented`() throws {
        let data = Data(JSONReport(try Self.result(), top: 3).render())
        let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let schema =
            try JSONSerialization.jsonObject(
                with: try Repository.read(Repository.root + "/Documentation/report.schema.json")
            ) as? [String: Any]
        let required = schema?["required"] as? [String] ?? []
        #expect(required.count >= 8)
        for key in required { #expect(object?[key] != nil, "\(key)") }
        for (section, value) in schema?["properties"] as? [String: [String: Any]] ?? [:] {
            for key in value["required"] as? [String] ?? [] {
                #expect((object?[section] as? [String: Any])?[key] != nil, "\(section).\(key)")
            }
        }
        #expect((object?["patterns"] as? [Any])?.count == 3)
    }

    @Test func `the report is the same to the byte for any number of workers`() throws {
        let first = Self.stable(try Self.result())
        for workers in 2...4 { #expect(Self.stable(try Self.result(workers: workers)) == first) }
    }

    private static func text(
        _ result: ReplayResult,
        _ grouping: Grouping,
        _ width: Int?,
        isFull: Bool = false
    ) -> String {
        let style = TerminalStyle(width: width, isColored: false)
        let report = TextReport(result, top: 50, by: grouping, style: style, isFull: isFull)
        return String(decoding: report.render(), as: UTF8.self)
    }

    @Test(arguments: Grouping.allCases, ["mix_a.pcap", "d_worst_a.pcap", "pooled_apps_a.pcap"])
    func `text fits every terminal, keeps fingerprints, and has no colours unless asked`(
        _ grouping: Grouping,
        _ capture: String
    ) throws {
        let result = try Self.result(capture)
        for width in [80, 81, 100, 120, 132, 200] {
            let text = Self.text(result, grouping, width)
            #expect(!text.contains("\u{1B}"))
            for line in text.split(separator: "\n") { #expect(line.count <= width, "\(width): \(line)") }
            for pattern in result.patterns.prefix(50) {
                #expect(text.contains(pattern.fingerprint.description.prefix(8)), "\(width)")
            }
        }
    }

    @Test(arguments: [false, true])
    func `what is not written to a terminal is not cut`(_ isFull: Bool) throws {
        let result = try Self.result()
        let text = Self.text(result, .user, nil, isFull: isFull)
        for pattern in result.patterns.prefix(50) {
            #expect(text.contains(String(decoding: pattern.text, as: UTF8.self).printable))
            if isFull { #expect(text.contains("- \(pattern.fingerprint)\n")) }
        }
        #expect(!text.contains("…"))
    }

    @Test func `the first table can be by application, and adds up to all`() throws {
        var options = ReplayOptions(paths: [Repository.captures + "/mix_a.pcap"])
        options.tellsApplications = true
        for workers in 1...3 {
            options.workers = workers
            let rows = try Self.rows(CSVReport(try Replay.run(options), top: nil, by: .application).render())
            let found = Dictionary(rows.dropFirst().map { ($0[0], Int($0[1]) ?? -1) }, uniquingKeysWith: +)
            #expect(found == ["pgbench": 44, "psql": 21, "(no name)": 25])
        }
    }

    /// Reads RFC 4180, strictly.
    private static func rows(_ bytes: [UInt8]) throws -> [[String]] {
        var rows: [[String]] = []
        var (row, field) = ([String](), [UInt8]())
        var (isQuoted, index) = (false, 0)
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\"") where isQuoted:
                if index < bytes.count, bytes[index] == byte {
                    field.append(byte)
                    index += 1
                } else {
                    isQuoted = false
                }
            case UInt8(ascii: "\"") where field.isEmpty: isQuoted = true
            case UInt8(ascii: ",") where !isQuoted, UInt8(ascii: "\r") where !isQuoted:
                row.append(String(decoding: field, as: UTF8.self))
                field = []
                guard byte == UInt8(ascii: "\r") else { continue }
                try #require(index < bytes.count && bytes[index] == UInt8(ascii: "\n"))
                index += 1
                rows.append(row)
                row = []
            default: field.append(byte)
            }
        }
        try #require(!isQuoted && row.isEmpty && field.isEmpty)
        return rows
    }

    @Test(arguments: [Grouping.user, .database, .client, .pattern])
    func `CSV holds what JSON holds`(_ grouping: Grouping) throws {
        let result = try Self.result()
        let rows = try Self.rows(CSVReport(result, top: nil, by: grouping).render())
        let heading = try #require(rows.first)
        let json = try JSONSerialization.jsonObject(with: Data(JSONReport(result, top: nil).render()))
        let list = ["user": "users", "database": "databases", "client": "clients", "pattern": "patterns"]
        let objects = try #require((json as? [String: Any])?[list[grouping.rawValue] ?? ""] as? [[String: Any]])
        #expect(objects.count == rows.count - 1 && !objects.isEmpty)
        for (row, object) in zip(rows.dropFirst(), objects) {
            #expect(row.count == heading.count)
            for (name, value) in zip(heading, row) {
                switch object[name == "pattern" ? "text" : name] {
                case let number as NSNumber: #expect(number.doubleValue == Double(value), "\(name)")
                case let text as String: #expect(text == value)
                default: #expect(value.isEmpty || name.hasSuffix("seconds"))
                }
            }
        }
    }

    @Test func `a capture in which nothing was read says what was there`() throws {
        func text(_ ports: [UInt16], _ capture: String = "mix_a.pcap", workers: Int = 1) throws -> String {
            var options = ReplayOptions(paths: [Repository.captures + "/" + capture])
            (options.ports, options.workers) = (ports, workers)
            return Self.text(try Replay.run(options), .user, nil)
        }
        for workers in 1...2 {
            let wrong = try text([5555], workers: workers)
            #expect(
                wrong.contains("PostgreSQL is spoken on ports that were not named: did you mean --port 5432?"),
                "\(wrong)"
            )
            #expect(!wrong.contains("nothing hidden"))
        }
        #expect(try !text([5432]).contains("--port"))
        #expect(try !text([]).contains("--port"))
    }

    @Test func `CSV quotes what has to be quoted, and makes no formula of what clients made up`() throws {
        let texts = ["a", "a,b", "a\"b", "a\r\nb", "\"", "", "=1+1", "-1", "+x", "@x", "\tx", "ä,ö"]
        let line = texts.map(CSVReport.field).joined(separator: ",") + "\r\n"
        let expected = texts.map { ["=1+1", "+x", "@x", "\tx"].contains($0) ? "'" + $0 : $0 }
        #expect(try Self.rows(Array(line.utf8)) == [expected])
    }

    @Test(arguments: Grouping.allCases)
    func `HTML is one file that loads nothing`(_ grouping: Grouping) throws {
        let result = try Self.result()
        let html = String(decoding: HTMLReport(result, top: 5, by: grouping).render(), as: UTF8.self)
        for word in ["<script", "http:", "https:", "url(", "<img", "<link", "javascript:"] {
            #expect(!html.contains(word), "\(word)")
        }
        for tag in [
            "html", "head", "body", "table", "thead", "tbody", "tr", "td", "th", "ul", "li", "h1", "h2", "p", "code",
        ] {
            let opened = html.matches(of: try Regex("<\(tag)[ >]")).count
            #expect(opened == html.matches(of: try Regex("</\(tag)>")).count, "\(tag)")
        }
        #expect(html.contains(result.patterns[0].fingerprint.description))
    }

    @Test func `lines are JSON, one for each statement, and hold no literal`() throws {
        let box = Box()
        var options = ReplayOptions(paths: [Repository.captures + "/mix_a.pcap"])
        options.limits.flows = 1 << 14
        let result = try Replay.run(options, recorder: NDJSONRecorder { box.bytes += $0 })
        let lines = String(decoding: box.bytes, as: UTF8.self).split(separator: "\n")
        #expect(UInt64(lines.count) == result.totals.started + result.totals.skipped)
        for line in lines {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["db.system.name"] as? String == "postgresql")
            #expect((object?["db.query.text"] as? String)?.contains("'") != true)
        }
    }

    private final class Box { var bytes: [UInt8] = [] }
}
