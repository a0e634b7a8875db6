// SPDX-License-Identifier: Apache-2.0
import Domain
import Telemetry
import Testing

struct MetricsTextTests {
    private func text(_ form: MetricsText.Form, limit: Int = 100, _ fill: (inout MetricsText) -> Void) -> String {
        var text = MetricsText(form, limit: limit)
        fill(&text)
        return String(decoding: text.finish(), as: UTF8.self)
    }

    @Test func `counters end in total, by the form's own rule for their type`() {
        let plain = text(.text) { $0.counter("a", "What.", 7) }
        #expect(plain.hasPrefix("# HELP a_total What.\n# TYPE a_total counter\na_total 7\n"))
        let open = text(.openMetrics) { $0.counter("a", "What.", 7) }
        #expect(open.hasPrefix("# HELP a What.\n# TYPE a counter\na_total 7\n") && open.hasSuffix("# EOF\n"))
    }

    @Test func `label values cannot break out of their quotes`() {
        let found = text(.text) { $0.gauge("a", "b", [([("user", "x\"} 1\nevil\\")], 1)]) }
        #expect(found.contains("a{user=\"x\\\"} 1\\nevil\\\\\"} 1\n"))
    }

    @Test func `series beyond the cap are left out and counted`() {
        let found = text(.text, limit: 2) { $0.gauge("a", "b", (0..<5).map { ([("n", "\($0)")], 1) }) }
        #expect(found.contains("n=\"1\"") && !found.contains("n=\"2\""))
        #expect(found.contains("pgweir_metrics_series_dropped_total 3\n"))
    }

    @Test func `histograms rise to their count`() {
        let found = text(.text) { $0.histogram("h", "b", [(0.5, 1), (1, 3)], count: 4, sum: 2.5) }
        #expect(
            found.contains(
                "h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_count 4\nh_sum 2.5\n"
            )
        )
    }

    @Test func `the process knows its own memory and files`() {
        let facts = ProcessFacts()
        #expect(facts.resident > 1_000_000 && facts.files >= 3 && facts.mostFiles > 3 && facts.threads >= 1)
        #expect(facts.began > 1_600_000_000)
    }
}

struct TopSeriesTests {
    @Test func `no series ever goes down, whoever comes and goes`() {
        var top = TopSeries<String>(limit: 2)
        var last: [String: Double] = [:]
        var others = 0.0
        var sum = 0.0
        for round in 0..<50 {
            for user in 0..<5 {
                let value = Double((round * 7 + user * 13) % 11)
                top.add(value, of: "u\(user)")
                sum += value
            }
            let found = top.read(at: Double(round) * 40)
            #expect(found.others >= others)
            others = found.others
            for (key, value) in found.members {
                if let before = last[key] { #expect(value >= before) }
            }
            last = Dictionary(uniqueKeysWithValues: found.members.map { ($0.key, $0.value) })
            #expect(found.members.count <= 2)
            #expect(found.others + found.members.reduce(0) { $0 + $1.value } <= sum)
        }
    }

    @Test func `the heaviest come in`() {
        var top = TopSeries<Int>(limit: 1)
        top.add(5, of: 1)
        top.add(9, of: 2)
        _ = top.read(at: 0)
        top.add(3, of: 2)
        top.add(100, of: 1)
        let found = top.read(at: 1)
        #expect(found.members.map(\.key) == [2] && found.members.first?.value == 3 && found.others == 114)
    }
}

struct LogLineTests {
    private let line = LogLine(.warning, "a.b", "x \"y\"\nforged", [("user", "o'x =1"), ("n", "5")])

    @Test func `one event is one line in every form`() {
        for format in LogFormat.allCases {
            let text = line.render(format, time: "T", forJournal: false)
            #expect(text.filter { $0 == "\n" }.count == 1 && text.hasSuffix("\n"))
        }
        #expect(line.render(.text, time: "T", forJournal: false) == "pgweir: warning: x \"y\" forged\n")
        #expect(
            line.render(.logfmt, time: "T", forJournal: false)
                == "time=T level=warning event=a.b msg=\"x \\\"y\\\"\\nforged\" user=\"o'x =1\" n=5\n"
        )
        #expect(
            line.render(.json, time: "T", forJournal: true)
                == "<4>{\"time\":\"T\",\"level\":\"warning\",\"event\":\"a.b\",\"msg\":\"x \\\"y\\\"\\nforged\",\"user\":\"o'x =1\",\"n\":\"5\"}\n"
        )
    }

    @Test func `what a terminal would not show is written out`() {
        let hostile = LogLine(.warning, "a.b", "x\u{202E}y\u{2028}\u{E0041}", [("user", "\u{1B}[2J\u{200B}")])
        for format in LogFormat.allCases {
            let text = hostile.render(format, time: "T", forJournal: false)
            #expect(text.unicodeScalars.filter(\.isUnprintable) == ["\n"])
        }
        #expect(hostile.render(.json, time: "T", forJournal: false).contains(#""msg":"x\u202ey\u2028\udb40\udc41""#))
    }

    @Test func `repeats are held back, and how many is told`() {
        var limit = RepeatLimit()
        let admitted = (0..<20).map { limit.admits(line, at: Double($0)).isAdmitted }
        #expect(admitted.filter { $0 }.count == 5)
        let later = limit.admits(line, at: 61)
        #expect(later.isAdmitted && later.suppressed == 15)
    }
}
