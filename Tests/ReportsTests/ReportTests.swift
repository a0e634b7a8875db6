// SPDX-License-Identifier: Apache-2.0
import Foundation
import Metering
import Packets
import Pipeline
import Reports
import TestKit
import Testing

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

    @Test(arguments: Grouping.allCases)
    func `text fits the terminal and has no colours unless asked`(_ grouping: Grouping) throws {
        let style = TerminalStyle(width: 120, isColored: false)
        let text = String(
            decoding: TextReport(try Self.result(), top: 5, by: grouping, style: style).render(),
            as: UTF8.self
        )
        #expect(!text.contains("\u{1B}"))
        for line in text.split(separator: "\n") { #expect(line.count <= 130, "\(line)") }
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
