// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Foundation
import GRDB
import Quotas
import SQLiteStore
import TestKit
import Testing

/// Files of a daemon that runs for years: what is over goes while it runs, not only when it starts.
struct PruningTests {
    private func withFile(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pgweir-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.appendingPathComponent("file.sqlite").path)
    }

    private func count(_ table: String, _ path: String) throws -> Int {
        try DatabaseQueue(path: path).read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM \(table)") ?? -1 }
    }

    @Test func `claims of prices that never came are forgotten`() throws {
        try withFile { path in
            let store = try SQLiteCostStore(path: path)
            for number in 1...3000 {
                let key = Fingerprint(high: UInt64(number), low: 0)
                #expect(try store.claim(key, seconds: 0))
            }
            #expect(try count("claim", path) <= 1000)
            // One that holds stays.
            let held = Fingerprint(high: 1 << 40, low: 0)
            #expect(try store.claim(held, seconds: 3600))
            for number in 1...1000 { _ = try store.claim(Fingerprint(high: UInt64(number), low: 1), seconds: 0) }
            #expect(try !store.claim(held, seconds: 3600))
        }
    }

    @Test func `the audit keeps its newest entries`() throws {
        try withFile { path in
            let history = try AuditHistory(path: path, most: 500)
            var number = 0
            for _ in 0..<40 {
                try history.append(
                    (0..<100).map { _ in
                        number += 1
                        return AuditEntry(
                            "event",
                            nil,
                            at: Timestamp(nanoseconds: Int64(number)),
                            node: "n",
                            actor: "a",
                            details: []
                        )
                    }
                )
            }
            #expect(try count("audit", path) == 500)
            let last = try history.last(10_000, of: nil)
            #expect(last.map(\.time.nanoseconds) == (3501...4000).map { Int64($0) })
        }
    }

    @Test func `the ledger forgets users who were not active for long, and texts whose time is over`() throws {
        try withFile { path in
            let store = try SQLiteLedgerStore(path: path)
            let now = Int64(Date().timeIntervalSince1970)
            let (old, new) = (UserKey(Fingerprint(high: 1, low: 0)), UserKey(Fingerprint(high: 2, low: 0)))
            try store.touch([ActiveUser(old, tier: "free")], at: now - 4_000_000)
            try store.touch([ActiveUser(new, tier: "free")], at: now)
            for number in 0..<100 { try store.put("name \(number)", "text", seconds: 0) }
            try store.put("held", "text", seconds: 3600)
            try store.keep("text", in: "list", as: "name")
            for _ in 0..<1000 { _ = try store.exchange([], of: "node") }
            #expect(try count("touched", path) == 1 && store.touched(since: 0).map(\.user) == [new])
            #expect(try count("entry", path) == 2)
            #expect(try store.get("held") == "text" && store.all(in: "list") == ["name": "text"])
        }
    }
}
