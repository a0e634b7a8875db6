// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
import Foundation
import Metering
import Packets
import Pipeline
import PostgresWire
import Quotas
import TestKit
import Testing

/// What PostgreSQL itself wrote down while a capture was taken: its log and pg_stat_statements.
struct Truth {
    struct Counts: Equatable {
        var simple: UInt64 = 0
        var portals: UInt64 = 0
        var functions: UInt64 = 0
        var plannable: UInt64 = 0

        func isAtMost(_ other: Counts) -> Bool {
            simple <= other.simple && portals <= other.portals && functions <= other.functions
                && plannable <= other.plannable
        }
    }

    let expect: String
    var counts: [String: Counts] = [:]
    /// Calls by database and pattern.
    var patterns: [String: [Fingerprint: UInt64]] = [:]
    /// Users whose every session is readable.
    var readable: Set<String> = []
    let ports: [UInt16]

    /// Texts of which pg_stat_statements counts executions; told by their first word, not by our lexer.
    private static func isPlannable(_ query: String) -> Bool {
        var text = Substring(query.lowercased())
        while let first = text.first, first.isWhitespace || first == "(" || text.hasPrefix("/*") || text.hasPrefix("--")
        {
            if text.hasPrefix("/*") {
                var depth = 0
                repeat {
                    if text.hasPrefix("/*") { depth += 1 } else if text.hasPrefix("*/") { depth -= 1 }
                    text = text.dropFirst(text.hasPrefix("/*") || text.hasPrefix("*/") ? 2 : 1)
                } while depth > 0 && !text.isEmpty
            } else if text.hasPrefix("--") {
                guard let end = text.firstIndex(of: "\n") else { return false }
                text = text[end...]
            } else {
                text = text.dropFirst()
            }
        }
        let word = text.prefix { $0.isLetter }
        if word == "prepare" { return !text.dropFirst(7).drop { $0.isWhitespace }.hasPrefix("transaction") }
        return ["select", "insert", "update", "delete", "merge", "values", "table", "with", "execute"].contains(word)
    }

    init(_ path: String) throws {
        var object = try Self.object(path)
        expect = object["expect"] as? String ?? ""
        let capture = object["capture"] as? [String: Any] ?? [:]
        ports = (capture["server_ports"] as? [Int] ?? [5432]).map { UInt16($0) }
        let loss = object["loss"] as? [String: Any]
        if let base = object["truth_from"] as? String {
            let folder = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
            if let known = try? Self.object(folder + "/" + base) {
                object["sessions"] = known["sessions"]
                object["texts"] = known["texts"]
            }
        }
        let totals = (object["totals"] as? [String: Any])?["by_user_database"] as? [String: [String: Int]] ?? [:]
        for (user, values) in totals {
            counts[user] = Counts(
                simple: UInt64(values["simple_ok"] ?? 0),
                portals: UInt64(values["execute_ok"] ?? 0),
                functions: UInt64(values["fastpath_ok"] ?? 0)
            )
        }
        var normalizer = Normalizer(hash: .standard)
        let sent = Self.sent(object["texts"] as? [Any] ?? [], &normalizer)
        for row in object["pg_stat_statements"] as? [[String: Any]] ?? [] {
            guard row["toplevel"] as? Bool ?? true, let query = row["query"] as? String, Self.isPlannable(query),
                let user = row["user"] as? String, let database = row["database"] as? String,
                let calls = row["calls"] as? Int
            else { continue }
            let bytes = Array(query.utf8)
            guard let sketch = normalizer.sketch(bytes.rawSpan, from: 0) else { continue }
            // A constant call of an immutable SQL function is evaluated by the planner: PostgreSQL 15 then counts the
            // function's body as if a client had sent it.
            guard sent.isEmpty || sent.contains(sketch.fingerprint) else { continue }
            counts["\(user)@\(database)", default: Counts()].plannable += UInt64(calls)
            var key = sketch.fingerprint
            // pg_stat_statements shows an SQL EXECUTE by the text of its PREPARE.
            if sketch.body > 0 { key = normalizer.sketch(bytes.rawSpan, from: sketch.body)?.fingerprint ?? key }
            patterns[database, default: [:]][key, default: 0] += UInt64(calls)
        }
        let untouched = (loss?["untouched_clients"] as? [String]).map(Set.init)
        var hidden: Set<String> = []
        for session in object["sessions"] as? [[String: Any]] ?? [] {
            guard let user = session["user"] as? String, let database = session["database"] as? String else { continue }
            let isHidden = session["ssl"] as? Bool == true || session["began_before_capture"] as? Bool == true
            let isTouched = untouched.map { !$0.contains(session["client"] as? String ?? "") } ?? (loss != nil)
            readable.insert("\(user)@\(database)")
            if isHidden || isTouched { hidden.insert("\(user)@\(database)") }
        }
        readable.subtract(hidden)
    }

    /// The patterns of all texts that clients sent, by the server's log.
    private static func sent(_ texts: [Any], _ normalizer: inout Normalizer) -> Set<Fingerprint> {
        var sent: Set<Fingerprint> = []
        for text in texts {
            // Long texts are kept as a prefix: then it cannot be said what was sent.
            guard let bytes = (text as? String).map({ Array($0.utf8) }) else { return [] }
            var start = 0
            while let sketch = normalizer.sketch(bytes.rawSpan, from: start) {
                sent.insert(sketch.fingerprint)
                start = max(start + 1, sketch.range.upperBound)
            }
        }
        return sent
    }

    private static func object(_ path: String) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: try Repository.read(path)) as? [String: Any] ?? [:]
    }
}

struct TruthTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var folder: String
        var testDescription: String { name }
    }

    /// The shipped captures, and those beside the checkout where there are any.
    static let cases: [Case] = [Repository.captures, Repository.sharedCaptures + "/open"].flatMap { folder in
        Repository.files(folder).filter { $0.hasSuffix(".truth.json") }
            .map { Case(name: String($0.dropLast(11)), folder: folder) }
    }

    static func replay(_ one: Case, _ truth: Truth, workers: Int = 1) throws -> ReplayResult {
        let files = Repository.files(one.folder)
            .filter { $0.hasPrefix(one.name + ".") && !$0.hasSuffix(".json") && !$0.hasSuffix(".pqtrace") }
        var options = ReplayOptions(paths: files.map { one.folder + "/" + $0 })
        options.ports = truth.expect == "statements_only" ? [6432] : truth.ports
        options.workers = workers
        options.limits.flows = 1 << 16
        return try Replay.run(options)
    }

    static func counts(_ result: ReplayResult) -> [String: Truth.Counts] {
        var counts: [String: Truth.Counts] = [:]
        for principal in result.principals.dropFirst() {
            let key = "\(principal.user ?? "")@\(principal.database ?? "")"
            counts[key, default: Truth.Counts()].simple += principal.counts.simpleOK
            counts[key, default: Truth.Counts()].portals += principal.counts.portalsOK
            counts[key, default: Truth.Counts()].functions += principal.counts.functionCallsOK
            counts[key, default: Truth.Counts()].plannable += principal.counts.plannable
        }
        return counts
    }

    @Test func `captures are there, and most say which texts PostgreSQL counted`() throws {
        #expect(Self.cases.count >= 15)
        let shipped = Self.cases.filter { $0.folder == Repository.captures }
        let speaking = try shipped.count { one in
            let truth = try Truth(one.folder + "/" + one.name + ".truth.json")
            return truth.expect == "exact" && !truth.patterns.isEmpty
        }
        #expect(speaking * 2 > shipped.count, "\(speaking) of \(shipped.count)")
    }

    @Test(arguments: cases)
    func `counts are those that PostgreSQL wrote down`(_ one: Case) throws {
        let truth = try Truth(one.folder + "/" + one.name + ".truth.json")
        let ours = Self.counts(try Self.replay(one, truth))
        switch truth.expect {
        case "exact", "exact_on_server_port":
            for user in Set(ours.keys).union(truth.counts.keys).sorted() where !isDropped(user, truth) {
                #expect(ours[user] ?? Truth.Counts() == truth.counts[user] ?? Truth.Counts(), "\(user)")
            }
        case "statements_only":
            #expect(ours.keys.contains { !$0.hasSuffix("@pgbouncer") })
            // The pooler adds statements of its own on the server's side.
            for (user, counts) in ours where !user.hasSuffix("@pgbouncer") {
                #expect(counts.isAtMost(truth.counts[user] ?? Truth.Counts()), "\(user)")
                #expect(counts.plannable == truth.counts[user]?.plannable, "\(user)")
            }
        case "empty":
            #expect(ours.isEmpty)
        default:
            for (user, counts) in ours {
                #expect(counts.isAtMost(truth.counts[user] ?? Truth.Counts()), "\(user)")
            }
            for user in truth.readable {
                #expect(ours[user] ?? Truth.Counts() == truth.counts[user] ?? Truth.Counts(), "\(user) lost nothing")
            }
        }
    }

    @Test func `a pooler's connections to its server are passed over, and its clients counted once`() throws {
        let path = Repository.sharedCaptures + "/open/pgbouncer_both_a.pcap"
        guard FileManager.default.fileExists(atPath: path) else { return }
        var options = ReplayOptions(paths: [path])
        options.limits.flows = 1 << 16
        let both = try Replay.run(options)
        options.ports = [6432]
        let clients = try Replay.run(options)
        options.ports = []
        options.poolers = PoolerAddresses([try #require(Endpoint("127.0.0.1:6432"))])
        for workers in 1...2 {
            options.workers = workers
            let once = try Replay.run(options)
            #expect(once.sessions.pooled >= 8 && both.sessions.pooled == 0)
            let isMeant = { (entry: (key: String, value: Truth.Counts)) in !entry.key.hasSuffix("@pgbouncer") }
            #expect(Self.counts(once).filter(isMeant) == Self.counts(clients).filter(isMeant))
            #expect(once.totals.started < both.totals.started)
            #expect(once.totals.started == clients.totals.started)
        }
    }

    /// pg_stat_statements has no name for a database that was dropped before it was asked.
    private func isDropped(_ user: String, _ truth: Truth) -> Bool {
        guard let owner = user.split(separator: "@").first, truth.counts["\(owner)@?"] != nil else { return false }
        return user.hasSuffix("@?") || truth.counts[user]?.plannable == 0
    }

    @Test(arguments: cases)
    func `every text that pg_stat_statements shows is a pattern with calls`(_ one: Case) throws {
        let truth = try Truth(one.folder + "/" + one.name + ".truth.json")
        guard truth.expect == "exact" else { return }
        var ours: [String: [Fingerprint: UInt64]] = [:]
        for pattern in try Self.replay(one, truth).patterns where pattern.calls > 0 {
            ours[pattern.database ?? "", default: [:]][pattern.fingerprint, default: 0] += pattern.calls
        }
        for (database, patterns) in truth.patterns where database != "?" {
            for (key, calls) in patterns {
                // pg_stat_statements merges what differs in aliases only, and shows the first text: so at least one.
                #expect(calls > 0 && ours[database]?[key] ?? 0 > 0, "\(database) \(key)")
            }
        }
    }

    @Test(
        arguments: cases.filter { ["mix_a", "d_worst_a", "d_lossy_a", "pooled_apps_a"].contains($0.name) },
        [2, 3, 5]
    )
    func `the number of workers changes nothing`(_ one: Case, _ workers: Int) throws {
        let truth = try Truth(one.folder + "/" + one.name + ".truth.json")
        let alone = try Self.replay(one, truth)
        let shared = try Self.replay(one, truth, workers: workers)
        #expect(Self.counts(alone) == Self.counts(shared))
        #expect(alone.totals == shared.totals)
        #expect(alone.patterns.map(\.fingerprint) == shared.patterns.map(\.fingerprint))
        #expect(
            alone.patterns.map { $0.durations.percentile(0.95) }
                == shared.patterns.map { $0.durations.percentile(0.95) }
        )
        #expect(alone.reassembly.segments == shared.reassembly.segments)
    }
}

struct MalformedTests {
    /// Captures that crashed other programs; they lie beside the checkout and are not shipped.
    static let files: [String] = ["malformed/tcpdump/pcap", "malformed/gopacket-fuzz", "public"].flatMap { folder in
        Repository.files(Repository.sharedCaptures + "/" + folder).map {
            Repository.sharedCaptures + "/" + folder + "/" + $0
        }
    }

    @Test func `every damaged capture is read to its end or refused, twice the same`() throws {
        var read = 0
        for path in Self.files {
            var options = ReplayOptions(paths: [path])
            options.limits.flows = 1 << 14
            guard let first = try? Replay.run(options) else { continue }
            read += 1
            let again = try Replay.run(options)
            #expect(first.totals == again.totals, "\(path)")
            let ignored = first.capture.ignoredByReason.reduce(0) { $0 + $1.count }
            #expect(first.capture.packets == ignored + first.reassembly.segments, "\(path)")
        }
        #expect(read * 2 > Self.files.count || Self.files.isEmpty, "\(read) of \(Self.files.count)")
    }
}
