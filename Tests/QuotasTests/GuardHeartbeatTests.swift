// SPDX-License-Identifier: Apache-2.0
import Quotas
import Testing

struct GuardHeartbeatTests {
    private func absence(_ text: String?, _ uptime: Int64 = 1000, needed: Int = 1) -> String? {
        GuardHeartbeat.absence(in: text, uptime: uptime, needed: needed, command: "pgweir guard")
    }

    @Test func `a guard is there while its heartbeat is young, sound and reaches all`() {
        let heartbeat = GuardHeartbeat(uptime: 1000, interval: 5, reachable: 2)
        #expect(GuardHeartbeat(text: heartbeat.text) == heartbeat)
        #expect(absence(heartbeat.text) == nil)
        #expect(absence(heartbeat.text, 1015, needed: 2) == nil)
        #expect(absence(heartbeat.text, 1016)?.contains("has not looked for 16 s") == true)
        #expect(absence(heartbeat.text, needed: 3)?.contains("2 of 3") == true)
        // The machine started anew since.
        #expect(absence(heartbeat.text, 999) != nil)
        #expect(absence(nil)?.contains("pgweir guard") == true)
        let troubled = GuardHeartbeat(uptime: 1000, interval: 5, reachable: 1, problem: "cannot write x")
        #expect(absence(troubled.text)?.contains("cannot write x") == true)
    }

    @Test func `no other text passes for a heartbeat`() {
        let text = GuardHeartbeat(uptime: 1000, interval: 5, reachable: 1).text
        for count in 0..<text.utf8.count {
            let part = String(decoding: text.utf8.prefix(count), as: UTF8.self)
            #expect(absence(part) != nil, "cut after \(count) bytes")
        }
        for other in [
            "pgweir-guard 2 1000 5 1\n\n", "pgweir-guard 1 1000 0 1\n\n", "pgweir-guard 1 1000 9999 1\n\n",
            "pgweir-guard 1 -5 5 1\n\n", "pgweir-guard 1 1000 5 -1\n\n", "pgweir-guard 1 9223372036854775808 5 1\n\n",
            text + "x", "\n\n",
        ] { #expect(absence(other) != nil, "\(other)") }
        #expect(absence("pgweir-guard 1 9223372036854775807 5 1\n\n", .min) != nil, "no trap")
    }
}
