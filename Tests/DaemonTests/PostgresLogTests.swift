// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Daemon

struct PostgresLogTests {
    @Test func `plain logs have statements over several lines, prepared ones and durations`() {
        let log = """
            2026-01-01 LOG:  statement: SELECT 1
            2026-01-01 LOG:  duration: 1.5 ms  execute p1: SELECT $1
            \tFROM t
            2026-01-01 LOG:  duration: 1.5 ms
            2026-01-01 ERROR:  relation "x" does not exist
            """
        #expect(PostgresLog.statements(log, isCSV: false).map(\.text) == ["SELECT 1", "SELECT $1\nFROM t"])
    }

    @Test func `csvlog tells database and user, with quotes and line ends inside of fields`() {
        var fields = Array(repeating: "", count: 14)
        (fields[1], fields[2], fields[13]) = ("ana", "shop", "\"statement: SELECT \"\"a\"\",\n2\"")
        let entries = PostgresLog.statements(fields.joined(separator: ",") + "\n", isCSV: true)
        #expect(entries == [PostgresLog.Entry(text: "SELECT \"a\",\n2", database: "shop", user: "ana")])
    }
}
