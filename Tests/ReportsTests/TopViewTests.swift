// SPDX-License-Identifier: Apache-2.0
import Reports
import Testing

struct TopViewTests {
    /// A status in which two users have run so many statements.
    private static func sample(ann: Int, ben: Int, pid: Int = 7) throws -> TopSample {
        func user(_ name: String, _ count: Int, _ units: Int, _ share: Double) -> String {
            """
            {"user": "\(name)", "database": "shop", "statements": \(count), "errors": 0, "rows": 0,
             "duration_seconds": 1.5, "cost_units": \(units), "tier": "free", "utilization": \(share), "verdict": "ok"}
            """
        }
        let text = """
            {"daemon": {"pid": \(pid), "interfaces": ["lo"], "unknown_sessions": 0, "workers_silent": 0},
             "open_sessions": [{"client": "10.0.0.1:5", "user": "ann", "database": "shop", "application": "a\\u001bb",
               "state": "active", "seconds": 0.25, "text": "select ?"}],
             "report": {"capture": {"packets": 1, "bytes": 1000, "gaps": 2, "kernel_dropped": 0, "interface_dropped": 0},
               "statements": {"total": \(ann + ben)}, "unattributed": {"statements": 0, "cost_units": 0},
               "users": [\(user("ann", ann, ann, 0.1)), \(user("ben", ben, 10 * ben, 0.9))],
               "patterns": [{"fingerprint": "f", "text": "select ?", "database": "shop", "calls": \(ann), "errors": 0,
                 "rows": 0, "cost_units": 5, "duration_seconds": {"p50": 0.001, "p99": 0.002, "sum": 1}}],
               "performance": {"worker_cpu_seconds": [0.5]}}}
            """
        return try TopSample(json: Array(text.utf8))
    }

    private static let style = TerminalStyle(width: 120, isColored: false)

    @Test func `rates are those between two samples, and the order is by them`() throws {
        var view = TopView()
        view.take(try Self.sample(ann: 100, ben: 50), at: 10)
        view.take(try Self.sample(ann: 300, ben: 60), at: 12)
        view.order = .calls
        let byCalls = view.lines(rows: 20, style: Self.style)
        #expect(byCalls.first?.contains("105 queries/s") == true)
        #expect(byCalls.contains("2 gaps"))
        let users = byCalls.filter { $0.contains("@shop") }
        #expect(users.first?.hasPrefix("ann@shop") == true)
        #expect(users.first?.split(separator: " ")[1] == "100")
        view.order = .budget
        #expect(view.lines(rows: 20, style: Self.style).first { $0.contains("@shop") }?.hasPrefix("ben") == true)
    }

    @Test func `a daemon that was started anew has no rates yet`() throws {
        var view = TopView()
        view.take(try Self.sample(ann: 1000, ben: 0), at: 1)
        view.take(try Self.sample(ann: 5, ben: 0, pid: 8), at: 2)
        #expect(view.lines(rows: 20, style: Self.style).first?.contains(" 0 queries/s") == true)
    }

    @Test func `every table fits the terminal, and nothing in it moves the cursor`() throws {
        var view = TopView()
        view.take(try Self.sample(ann: 1, ben: 2), at: 1)
        for key in "ups" {
            let known = view.press(key)
            #expect(known)
            for width in [80, 100, 120, 200] {
                let lines = view.lines(rows: 20, style: TerminalStyle(width: width, isColored: false))
                #expect(lines.count <= 20)
                for line in lines { #expect(line.count <= width && !line.contains("\u{1B}"), "\(line)") }
            }
        }
        let unknown = view.press("x")
        #expect(!unknown)
    }
}
