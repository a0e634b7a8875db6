// SPDX-License-Identifier: Apache-2.0
public import Domain
import Metering
public import Pipeline
import PostgresWire

/// What a daemon is, beside what it has seen.
public struct DaemonFacts: Sendable {
    /// Its process.
    public var process: Int32
    /// What it taps, and for which ports.
    public var interfaces: [String], ports: [UInt16]
    /// The servers whose sessions count, as they were named; none: all.
    public var servers: [String] = []
    /// When it began.
    public var began: Timestamp
    /// How many threads work.
    public var workers: Int
    /// Sessions whose owner is being asked for.
    public var unknownSessions = 0
    /// The service that finds prices, if there is one.
    public var pricing: PricingStatus?
    /// How quotas are kept, if they are.
    public var quotas: QuotaFacts?
    /// How often its configuration was read again, and what was wrong with it the last time.
    public var reloads: Int, reloadError: String?
    /// Files of the state that were set aside or cannot be used, a sentence each.
    public var stateProblems: [String] = []
    /// What servers counted against what was seen; `nil`: nobody asks them.
    public var verification: [VerificationFacts]?
    /// Bytes of memory that it may take, and that it takes; 0: not known.
    public var memoryBudget = 0, memoryTaken = 0
    /// When the configuration that holds was read.
    public var configured: Timestamp

    /// The facts of a daemon that has just begun.
    public init(process: Int32, interfaces: [String], ports: [UInt16], began: Timestamp, workers: Int) {
        self.process = process
        self.interfaces = interfaces
        self.ports = ports
        self.began = began
        self.workers = workers
        (reloads, configured) = (0, began)
    }
}

/// How the service of prices stands.
public struct PricingStatus: Sendable {
    /// Where prices are kept.
    public var store: String
    /// How the store stands; empty: nothing to tell.
    public var condition: String
    /// Counters by name, in the order they are shown.
    public var values: [(name: String, value: UInt64)]
    /// Statements that were not planned, by the check that refused them.
    public var refusals: [(name: String, value: UInt64)]
    /// How long the pattern that waits longest has waited, in seconds.
    public var age: Double

    /// A standing.
    public init(
        store: String,
        condition: String,
        values: [(name: String, value: UInt64)],
        refusals: [(name: String, value: UInt64)] = [],
        age: Double
    ) {
        (self.store, self.condition, self.values, self.age) = (store, condition, values, age)
        self.refusals = refusals
    }

    var line: String {
        let shown = ["known", "waiting", "priced", "failed", "unsafe", "server_errors", "store_errors", "held"]
        return values.filter { shown.contains($0.name) && ($0.value > 0 || $0.name == "known") }
            .map { "\($0.value) \($0.name.replacing("_", with: " "))" }.joined(separator: ", ")
    }

    func json(_ json: inout JSONWriter) {
        json.field("store", store)
        json.field("store_condition", condition)
        json.field("oldest_seconds", age, places: 3)
        for entry in values { json.field(named: entry.name, entry.value) }
        json.object("refused") { json in
            for entry in refusals where entry.value > 0 { json.field(named: entry.name, entry.value) }
        }
    }
}

/// How a running daemon stands: itself, the open sessions, and the report of all it has seen.
public struct StatusReport {
    private let snapshot: LiveSnapshot
    private let facts: DaemonFacts
    private let now: Timestamp

    /// The status at `now`.
    public init(_ snapshot: LiveSnapshot, of facts: DaemonFacts, at now: Timestamp) {
        self.snapshot = snapshot
        self.facts = facts
        self.now = now
    }

    /// One JSON object, as `Documentation/live.md` describes it; at most `top` patterns.
    public func json(top: Int?) -> [UInt8] {
        var json = JSONWriter(isIndented: true)
        json.object { json in
            json.object("daemon") { json in daemon(&json) }
            if let pricing = facts.pricing { json.object("pricing") { json in pricing.json(&json) } }
            if let quotas = facts.quotas { json.object("quotas") { json in quotas.write(&json) } }
            if let verification = facts.verification {
                json.array("verify") { json in
                    for server in verification { json.object { json in server.write(&json) } }
                }
            }
            memory(&json)
            json.array("workers") { json in
                for worker in snapshot.workers {
                    json.object { json in
                        json.field("worker", UInt64(worker.number))
                        json.field("packets", worker.capture.packets)
                        json.field("kernel_dropped", worker.capture.kernelDropped)
                        json.field("interface_dropped", worker.capture.interfaceDropped)
                        json.field("relay_dropped_bytes", worker.capture.relayDroppedBytes)
                        json.field("truncated_packets", worker.capture.truncatedPackets)
                        json.field("shortened_packets", worker.capture.shortenedPackets)
                        json.field("shed_segments", worker.capture.shedSegments)
                        json.field("cpu_seconds", worker.cpu, places: 6)
                    }
                }
            }
            json.array("open_sessions") { json in
                for session in snapshot.sessions { json.object { json in write(session, &json) } }
            }
            json.object("report") { json in JSONReport(snapshot.result, top: top).write(&json) }
        }
        json.newline()
        return json.bytes
    }

    private func daemon(_ json: inout JSONWriter) {
        json.field("pid", UInt64(max(0, facts.process)))
        json.field("time", now.rfc3339)
        json.field("began", facts.began.rfc3339)
        json.array("interfaces") { json in
            for name in facts.interfaces { json.element(name) }
        }
        json.array("ports") { json in
            for port in facts.ports { json.element(UInt64(port)) }
        }
        json.array("servers") { json in
            for server in facts.servers { json.element(server) }
        }
        json.field("workers", UInt64(facts.workers))
        json.field("workers_silent", UInt64(snapshot.missing))
        json.field("unknown_sessions", UInt64(max(0, facts.unknownSessions)))
        json.field("reloads", UInt64(facts.reloads))
        json.field("reload_error", facts.reloadError)
        json.array("state_problems") { json in
            for problem in facts.stateProblems { json.element(problem) }
        }
    }

    /// The budget, and which table has how much of it.
    private func memory(_ json: inout JSONWriter) {
        json.object("memory") { json in
            json.field("budget_bytes", facts.memoryBudget)
            json.field("resident_bytes", facts.memoryTaken)
            json.array("tables") { json in
                for table in snapshot.memory {
                    json.object { json in
                        json.field("table", table.name)
                        json.field("bytes", table.bytes)
                        json.field("limit_bytes", table.most)
                    }
                }
            }
        }
    }

    /// The same in a line; tables that are nearly full are named.
    private func memoryLine() -> String? {
        guard facts.memoryTaken > 0 else { return nil }
        let full = snapshot.memory.filter { $0.most > 0 && $0.bytes >= $0.most / 10 * 9 }.map(\.name)
        return "  memory: \(Quantity.bytes(UInt64(clamping: facts.memoryTaken))) of "
            + Quantity.bytes(UInt64(clamping: facts.memoryBudget))
            + (full.isEmpty ? "" : "; nearly full: " + full.joined(separator: ", "))
    }

    private func write(_ session: SessionStatus, _ json: inout JSONWriter) {
        json.field("session", session.number)
        json.field("client", session.client.description)
        json.field("server", session.server.description)
        json.field("user", session.user)
        json.field("database", session.database)
        json.field("application", session.application)
        json.field("state", session.stateName)
        json.field("seconds", nanoseconds: UInt64(now.nanoseconds(since: session.activity.since)))
        json.field("pending_requests", UInt64(max(0, session.activity.requests)))
        if session.text.isEmpty { json.field("text", nil as String?) } else { json.field("text", text: session.text) }
    }

    /// For people: the daemon's lines, then the report's.
    public func text(top: Int, by grouping: Grouping, style: TerminalStyle) -> [UInt8] {
        let active = snapshot.sessions.filter(\.activity.isActive).count
        let up = Quantity.duration(UInt64(now.nanoseconds(since: facts.began)))
        let ports = facts.ports.isEmpty ? "any port" : "port " + facts.ports.map(String.init).joined(separator: ", ")
        let servers = facts.servers.isEmpty ? "" : "; servers \(facts.servers.joined(separator: ", "))"
        var lines = [
            style.paint("Daemon", .bold),
            "  process \(facts.process), up \(up), watching \(facts.interfaces.joined(separator: ", ")) (\(ports)\(servers))",
            "  \(snapshot.sessions.count) sessions open, \(active) of them busy",
        ]
        if facts.unknownSessions > 0 {
            lines.append("  \(facts.unknownSessions) sessions began before; whose they are is being asked")
        }
        if let memory = memoryLine() { lines.append(memory) }
        if let pricing = facts.pricing { lines.append("  prices (\(pricing.store)): \(pricing.line)") }
        if let quotas = facts.quotas { lines += quotas.lines(style) }
        for server in facts.verification ?? [] {
            let mark = server.isBlind ? style.paint("!", .red) + " " : ""
            lines.append("  \(mark)\(server.line)")
        }
        if snapshot.missing > 0 {
            lines.append("  \(style.paint("!", .red)) \(snapshot.missing) of \(facts.workers) workers did not answer")
        }
        if let error = facts.reloadError {
            lines.append("  \(style.paint("!", .red)) the last reload failed, the old configuration holds: \(error)")
        }
        lines += facts.stateProblems.map { "  \(style.paint("!", .red)) \($0)" }
        let report = TextReport(snapshot.result, top: top, by: grouping, style: style).render()
        return Array((lines.joined(separator: "\n") + "\n\n").utf8) + report
    }
}

extension SessionStatus {
    /// As pg_stat_activity calls it (PostgreSQL documentation, "The Cumulative Statistics System").
    public var stateName: String {
        if activity.isActive { return "active" }
        switch activity.transaction {
        case UInt8(ascii: "T"): return "idle in transaction"
        case UInt8(ascii: "E"): return "idle in transaction (aborted)"
        default: return "idle"
        }
    }
}
