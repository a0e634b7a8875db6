// SPDX-License-Identifier: Apache-2.0
import Analytics
import Costs
import Domain
import Foundation
import Glibc
import Quotas
import SQLiteStore
import Synchronization
import TestKit
import Testing

/// Every kind of damage to every file: it is set aside and told, and the store works.
struct DamagedFileTests {
    enum Kind: String, CaseIterable, Sendable { case prices, ledger, history, minutes }

    enum Damage: String, CaseIterable, Sendable {
        case truncated, flipped, flippedWithoutLog, empty, garbage, schema, otherColumns, newer, folder, fifo, loop
        case linkToText, logIsFolder, logIsFIFO, values
    }

    /// A store as far as these tests go: writes, reads, and whether what was written was there.
    private struct Store {
        var isSound: () throws -> Bool

        func use() throws { #expect(try isSound()) }
    }

    private static func open(_ kind: Kind, _ path: String, _ report: FileReport = .none) throws -> Store {
        switch kind {
        case .prices:
            let store = try SQLiteCostStore(path: path, report: report)
            return Store {
                _ = try store.epoch()
                try store.store((0..<20).map { CostStoreContract.price($0) })
                let found = try store.prices(of: [CostStoreContract.price(1).key]).count
                _ = try store.claim(CostStoreContract.price(2).key, seconds: 1)
                try store.scan { _ in true }
                try store.remove([CostStoreContract.price(3).key])
                return found == 1
            }
        case .ledger:
            let store = try SQLiteLedgerStore(path: path, report: report)
            let user = UserKey(Fingerprint(high: 1, low: 2))
            return Store {
                _ = try store.epoch()
                let now: Int64 = 1_700_000_000
                let key = RegisterKey(user, .hour, at: now, .utc)
                _ = try store.exchange([RegisterWrite(key, Usage(low: 1, high: 2))], of: "a")
                let own = try store.read([key], of: "a").first?.own
                try store.touch([ActiveUser(user, tier: "free")], at: now)
                _ = try store.touched(since: now - 10)
                _ = try store.lease("x", holder: "me", seconds: 5)
                try store.put("limits", "text", seconds: 100)
                _ = try store.get("limits")
                try store.keep("a", in: "list", as: "b")
                return try store.all(in: "list")["b"] == "a" && own == Usage(low: 1, high: 2)
            }
        case .history:
            let store = try AuditHistory(path: path, report: report)
            let user = UserKey(Fingerprint(high: 1, low: 2))
            return Store {
                try store.append([
                    AuditEntry("limited", user, at: Timestamp(nanoseconds: 5), node: "n", actor: "a", details: [])
                ])
                return try !store.last(10, of: nil).isEmpty
            }
        case .minutes:
            let store = try MinuteHistory(path: path, report: report)
            return Store {
                try store.append((0..<20).map { row($0) })
                let question = HistoryQuestion(from: 0, to: 1 << 30, by: .pattern)
                let count = try store.groups(question).count
                _ = try store.groups(HistoryQuestion(from: 0, to: 1 << 30, by: .user))
                _ = try store.trend(question, step: 5)
                _ = try store.span()
                _ = try store.prune(before: 1, limit: 1 << 30)
                return count > 0
            }
        }
    }

    private static func row(_ number: Int64) -> HistoryRow {
        var sums = HistorySums()
        sums.calls = number
        return HistoryRow(
            minute: 100 + number,
            user: "u\(number)",
            name: nil,
            database: "d",
            fingerprint: Fingerprint(high: 1, low: UInt64(number)),
            text: "select ?",
            sums: sums,
            durations: "8:1"
        )
    }

    private static func sqlite(_ path: String, _ sql: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        let program =
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.executescript(sys.argv[2])"
        process.arguments = ["python3", "-c", program, path, sql]
        try? process.run()
        process.waitUntilExit()
    }

    private static func apply(_ damage: Damage, _ path: String, _ random: inout SplitMix64) throws {
        let url = URL(filePath: path)
        func remove() { for suffix in ["", "-wal", "-shm"] { _ = unsafe unlink(path + suffix) } }
        switch damage {
        case .truncated:
            let size = Int.random(in: 1..<max(2, (try Data(contentsOf: url)).count), using: &random)
            _ = unsafe truncate(path, size)
        case .flipped, .flippedWithoutLog:
            if damage == .flippedWithoutLog { for suffix in ["-wal", "-shm"] { _ = unsafe unlink(path + suffix) } }
            var data = try Data(contentsOf: url)
            for _ in 0..<Int.random(in: 1...200, using: &random) where !data.isEmpty {
                data[Int.random(in: 0..<data.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            try data.write(to: url)
        case .empty: _ = unsafe truncate(path, 0)
        case .garbage:
            remove()
            try Data((0..<40_000).map { _ in UInt8.random(in: .min ... .max, using: &random) }).write(to: url)
        case .schema:
            remove()
            sqlite(
                path,
                ["price", "register", "audit", "minutes", "users"].map { "CREATE TABLE \($0) (x);" }.joined()
            )
        case .otherColumns:
            sqlite(path, "ALTER TABLE \(table(path)) RENAME TO elsewhere; CREATE TABLE \(table(path)) (x);")
        case .newer: sqlite(path, "INSERT INTO grdb_migrations VALUES ('4711')")
        case .folder:
            remove()
            _ = unsafe mkdir(path, 0o755)
            try Data("x".utf8).write(to: URL(filePath: path + "/inside"))
        case .fifo:
            remove()
            _ = unsafe mkfifo(path, 0o600)
        case .loop:
            remove()
            _ = unsafe symlink(path, path)
        case .linkToText:
            remove()
            _ = unsafe symlink("/etc/hostname", path)
        case .logIsFolder:
            for suffix in ["-wal", "-shm"] { _ = unsafe unlink(path + suffix) }
            _ = unsafe mkdir(path + "-wal", 0o755)
        case .logIsFIFO:
            for suffix in ["-wal", "-shm"] { _ = unsafe unlink(path + suffix) }
            _ = unsafe mkfifo(path + "-wal", 0o600)
        case .values:
            let column =
                ["price": "text", "register": "low", "audit": "details", "minutes": "calls"][table(path)] ?? ""
            sqlite(path, "UPDATE \(table(path)) SET \(column) = x'ff00fe'")
        }
    }

    private static func table(_ path: String) -> String {
        if path.hasSuffix("prices.sqlite") { return "price" }
        if path.hasSuffix("ledger.sqlite") { return "register" }
        return path.hasSuffix("history.sqlite") ? "audit" : "minutes"
    }

    private static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pgweir-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private static var seed: UInt64 {
        ProcessInfo.processInfo.environment["PGWEIR_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...1 << 32)
    }

    @Test(arguments: Kind.allCases, Damage.allCases)
    func `a damaged file is set aside, and the store works`(_ kind: Kind, _ damage: Damage) throws {
        let seed = Self.seed
        var random = SplitMix64(seed: seed)
        let isRandom = [.truncated, .flipped, .flippedWithoutLog].contains(damage)
        let isLong = ProcessInfo.processInfo.environment["PGWEIR_LONG"] == "1"
        for round in 0..<(isRandom ? (isLong ? 200 : 6) : 1) {
            try Self.withFolder { folder in
                let path = "\(folder)/\(kind.rawValue).sqlite"
                try Self.open(kind, path).use()
                try Self.apply(damage, path, &random)
                let events = Mutex(0)
                let report = FileReport { event, _ in if case .setAside = event { events.withLock { $0 += 1 } } }
                do {
                    let store = try Self.open(kind, path, report)
                    // Damage that shows only now costs what was written before it did.
                    _ = try store.isSound()
                    try store.use()
                } catch {
                    Issue.record("\(kind) \(damage) round \(round), seed \(seed): \(error)")
                }
                let left = try FileManager.default.contentsOfDirectory(atPath: folder)
                let isSetAside = left.contains { $0.contains(".damaged-") }
                #expect(isSetAside == (events.withLock { $0 } > 0))
                if !isRandom, damage != .empty, damage != .values {
                    #expect(isSetAside, "\(kind) \(damage): \(left)")
                }
            }
        }
    }

    @Test(arguments: Kind.allCases)
    func `a file that is damaged or removed while it is open is made again`(_ kind: Kind) throws {
        let seed = Self.seed
        var random = SplitMix64(seed: seed)
        try Self.withFolder { folder in
            let path = "\(folder)/\(kind.rawValue).sqlite"
            let events = Mutex<[FileReport.Event]>([])
            let report = FileReport { event, of in if of == path { events.withLock { $0.append(event) } } }
            let store = try Self.open(kind, path, report)
            try store.use()
            for suffix in ["", "-wal"] {
                guard let file = FileHandle(forUpdatingAtPath: path + suffix) else { continue }
                try file.write(contentsOf: (0..<5000).map { _ in UInt8.random(in: .min ... .max, using: &random) })
                try file.close()
            }
            // What SQLite has in its cache may still be right.
            for _ in 0..<3 { _ = try? store.isSound() }
            events.withLock { $0 = [] }
            try FileManager.default.removeItem(atPath: folder)
            // The path is looked at every two seconds.
            let end = ContinuousClock.now + .seconds(30)
            while !FileManager.default.fileExists(atPath: path), ContinuousClock.now < end {
                _ = try? store.isSound()
                usleep(50_000)
            }
            #expect(FileManager.default.fileExists(atPath: path), "seed \(seed)")
            try store.use()
            // Whether the look at the path noticed it first, or SQLite.
            #expect(events.withLock { $0 }.contains(.gone), "seed \(seed)")
        }
    }

    @Test(arguments: Kind.allCases)
    func `a file that is used and opened again is sound, whatever the order of what was written`(_ kind: Kind) throws {
        try Self.withFolder { folder in
            let path = "\(folder)/\(kind.rawValue).sqlite"
            if kind == .ledger {
                let store = try SQLiteLedgerStore(path: path, report: .none)
                for number: UInt64 in [5, 1, 9, 3] {
                    let user = UserKey(Fingerprint(high: number, low: 2))
                    try store.touch([ActiveUser(user, tier: "free")], at: 1_700_000_000 - Int64(number))
                    let key = RegisterKey(user, .hour, at: 1_700_000_000 - Int64(number) * 3600, .utc)
                    _ = try store.exchange([RegisterWrite(key, Usage(low: 1, high: 2))], of: "n\(number)")
                }
            }
            try Self.open(kind, path).use()
            let events = Mutex(0)
            let report = FileReport { event, _ in if case .setAside = event { events.withLock { $0 += 1 } } }
            try Self.open(kind, path, report).use()
            #expect(events.withLock { $0 } == 0)
        }
    }

    @Test func `few files are kept of those set aside`() throws {
        try Self.withFolder { folder in
            let path = folder + "/prices.sqlite"
            for number in 0..<10 {
                try Data("no database, number \(number)".utf8).write(to: URL(filePath: path))
                try Self.open(.prices, path).use()
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.contains(".damaged-") }
            #expect(left.count { !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") } == SetAside.kept, "\(left)")
            #expect(left.count <= 3 * SetAside.kept)
        }
    }

    @Test func `a store that cannot be made now works once it can`() throws {
        try Self.withFolder { folder in
            let path = folder + "/gone/deeper/history.sqlite"
            let store = try AuditHistory(path: path, isPatient: true)
            #expect(throws: LedgerError.self) { try store.last(1, of: nil) }
        }
    }
}
