// SPDX-License-Identifier: Apache-2.0
import Foundation
import Metering
import Pipeline
import TestKit
import Testing

/// From the file to the report: what a client wrote as a literal never comes out.
struct PrivacyTests {
    /// The texts of all patterns of a session that sends `queries`, after the server announced `setting`.
    private static func patterns(_ queries: [[UInt8]], _ setting: String) throws -> [String] {
        var capture = CaptureBuilder()
        capture.client(Messages.startup(user: "alice", database: "shop"))
        capture.server(Messages.message("R", [0, 0, 0, 0]))
        capture.server(
            Messages.message("S", Messages.text("standard_conforming_strings") + Messages.text(setting))
                + Messages.ready()
        )
        for query in queries {
            capture.client(query)
            capture.server(Messages.complete("SELECT 1") + Messages.ready())
        }
        let path = try capture.write()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let result = try Replay.run(ReplayOptions(paths: [path]))
        #expect(result.totals.completed == UInt64(queries.count))
        return result.patterns.map { String(decoding: $0.text, as: UTF8.self) }.sorted()
    }

    @Test func `a backslash hides a quote only where the server says that it escapes`() throws {
        // With escapes one literal, without them two and an open quote.
        let query = Messages.query(#"select 'it\' or secret = 1, 'x"# + "'")
        #expect(try Self.patterns([query], "off").allSatisfy { !$0.contains("secret") })
        let plain = try Self.patterns([Messages.query(#"select 'a\', b, 'secret'"#)], "on")
        #expect(plain == ["select ?, b, ?"])
    }

    @Test func `prepared texts and the statements inside PREPARE are read the same way`() throws {
        let queries = [
            Messages.query(#"prepare p as select 'x\' secret', 1"#),
            Messages.query("execute p"),
        ]
        for text in try Self.patterns(queries, "off") { #expect(!text.contains("secret"), "\(text)") }
    }
}
