// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
import Pipeline
import PostgresWire
import Quotas
import RedisClient
import Reports
import SQLiteStore
import Telemetry

/// What a scrape of `/metrics` tells: `Documentation/metrics.md` lists it.
struct DaemonMetrics {
    let counters: CountersSnapshot
    let facts: DaemonFacts
    let quotas: QuotaCensus?
    let enforcement: EnforcementService.Summary?
    let redis: [(store: String, status: RedisStatus)]
    let history: HistoryFacts?
    let showsNames: Bool
    /// Where the relay is asked; `nil`: there is none.
    let relay: String?

    func render(_ form: MetricsText.Form) -> [UInt8] {
        var text = MetricsText(form)
        build(&text)
        capture(&text)
        tcp(&text)
        if let relay { RelayFigures.write(RelayFigures.ask(at: relay), &text) }
        sessions(&text)
        statements(&text)
        verification(&text)
        pricing(&text)
        if let quotas { write(quotas, &text) }
        if let enforcement { write(enforcement, &text) }
        write(redis, &text)
        if let history { write(history, &text) }
        ProcessFacts().write(&text)
        return text.finish()
    }

    private func build(_ text: inout MetricsText) {
        text.gauge("pgweir_build_info", "The version that runs.", [([("version", Version.text)], 1)])
        text.gauge("pgweir_workers", "Threads that look at packets.", Double(facts.workers))
        text.gauge(
            "pgweir_workers_silent",
            "Workers that did not answer this scrape in time.",
            Double(counters.missing)
        )
        text.gauge(
            "pgweir_config_last_reload_successful",
            "Whether the last reading of the configuration was.",
            facts.reloadError == nil ? 1 : 0
        )
        text.gauge(
            "pgweir_config_last_reload_success_timestamp_seconds",
            "When the configuration that holds was read, since the epoch.",
            Double(facts.configured.nanoseconds) / 1e9
        )
        let state = StateHealth.facts
        text.counter(
            "pgweir_state_set_aside",
            "Files of the state that were damaged and set aside.",
            state.setAside.sorted { $0.key < $1.key }.map { ([("file", $0.key)], Double($0.value)) }
        )
        text.gauge("pgweir_state_problems", "Files of the state that have a problem.", Double(state.problems.count))
        text.counter(
            "pgweir_worker_cpu_seconds",
            "CPU time of the workers.",
            counters.workers.map { ([("worker", String($0.number))], $0.cpu) }
        )
        text.gauge(
            "pgweir_pipeline_lag_seconds",
            "The greatest age of a packet when its turn was over, since the last scrape.",
            counters.lag
        )
    }

    private func capture(_ text: inout MetricsText) {
        let capture = counters.capture
        text.counter("pgweir_capture_packets", "Packets looked at.", capture.packets)
        text.counter("pgweir_capture_bytes", "Bytes of these.", capture.bytes)
        text.counter(
            "pgweir_capture_dropped_packets",
            "Packets that were lost on the way here, by where.",
            [
                ([("where", "kernel")], Double(capture.kernelDropped)),
                ([("where", "interface")], Double(capture.interfaceDropped)),
                ([("where", "relay")], Double(capture.relayDroppedRecords)),
                ([("where", "shed")], Double(capture.shedSegments)),
            ]
        )
        text.counter(
            "pgweir_capture_relay_dropped_bytes",
            "Bytes that a relay forwarded without a copy.",
            capture.relayDroppedBytes
        )
        text.counter(
            "pgweir_capture_truncated_packets",
            "Packets cut by the snap length.",
            capture.truncatedPackets
        )
        text.counter(
            "pgweir_capture_shortened_packets",
            "Packets of long responses that were cut under overload.",
            capture.shortenedPackets
        )
        text.counter(
            "pgweir_capture_shortened_bytes",
            "Bytes cut off these.",
            capture.shortenedBytes
        )
        text.counter("pgweir_capture_fragments", "IP fragments.", capture.fragments)
        text.counter("pgweir_capture_clock_steps", "Times that the clock of packets was set.", capture.clockSteps)
        let ignored = Dictionary(uniqueKeysWithValues: capture.ignoredByReason.map { ($0.reason, $0.count) })
        text.counter(
            "pgweir_capture_ignored_packets",
            "Packets that are no TCP segment we can read, by reason.",
            IgnoredReason.allCases.map { ([("reason", $0.name)], Double(ignored[$0] ?? 0)) }
        )
    }

    private func tcp(_ text: inout MetricsText) {
        let tcp = counters.reassembly
        text.counter("pgweir_tcp_segments", "TCP segments.", tcp.segments)
        text.counter("pgweir_tcp_flows", "Connections seen.", tcp.flows)
        text.gauge("pgweir_tcp_open_flows", "Connections followed now.", Double(counters.openFlows))
        text.counter("pgweir_tcp_gaps", "Places where bytes are missing for good.", tcp.gaps)
        text.counter("pgweir_tcp_gap_bytes", "Bytes that were acknowledged but never seen.", tcp.gapBytes)
        text.counter("pgweir_tcp_retransmitted_segments", "Segments that brought nothing new.", tcp.retransmitted)
        text.counter("pgweir_tcp_out_of_order_segments", "Segments that came early.", tcp.outOfOrder)
        text.counter("pgweir_tcp_conflicting_segments", "Segments whose bytes differed from a copy.", tcp.conflicts)
        text.counter("pgweir_tcp_out_of_window_segments", "Segments that no receiver would accept.", tcp.outOfWindow)
        text.counter(
            "pgweir_tcp_bad_checksum_segments",
            "Segments of clients with a wrong checksum where their others are right.",
            tcp.badChecksums
        )
        text.counter("pgweir_tcp_refused_segments", "Segments that a server may drop for what they say.", tcp.refused)
        text.counter("pgweir_tcp_reopened_flows", "Connections that went on after their end was seen.", tcp.reopened)
        text.counter("pgweir_tcp_over_budget_segments", "Segments that found no room to wait in.", tcp.overBudget)
        text.counter(
            "pgweir_tcp_forgotten_flows",
            "Connections given up, by why.",
            [([("why", "evicted")], Double(tcp.evicted)), ([("why", "expired")], Double(tcp.expired))]
        )
    }

    private func sessions(_ text: inout MetricsText) {
        let sessions = counters.sessions
        text.counter("pgweir_sessions", "Connections that spoke PostgreSQL.", sessions.total)
        text.counter("pgweir_sessions_attributed", "Those whose user is proven.", sessions.attributed)
        text.counter("pgweir_sessions_midstream", "Those that began before they were watched.", sessions.midstream)
        text.counter("pgweir_sessions_encrypted", "Those that cannot be read: TLS or GSSAPI.", sessions.encrypted)
        text.counter("pgweir_sessions_replication", "Those of replication.", sessions.replication)
        text.counter("pgweir_sessions_auth_failed", "Logins that the server refused.", sessions.authFailed)
        text.counter(
            "pgweir_sessions_pooled",
            "Connections of poolers to servers, passed over because their clients are counted.",
            sessions.pooled
        )
        text.counter(
            "pgweir_sessions_other_servers",
            "Connections with servers that are not named, which are not read.",
            counters.otherServers
        )
        text.counter("pgweir_sessions_cancel_requests", "Connections that only cancelled.", sessions.cancelRequests)
        text.counter("pgweir_sessions_not_postgresql", "Connections that spoke something else.", sessions.notPostgreSQL)
        text.gauge(
            "pgweir_sessions_unknown",
            "Open sessions whose user is being asked for.",
            Double(facts.unknownSessions)
        )
        text.counter("pgweir_protocol_messages", "Protocol messages read.", sessions.messages)
        text.counter("pgweir_protocol_lost_sync", "Directions that lost their message boundaries.", sessions.lostSync)
        text.counter("pgweir_protocol_resynchronized", "Those that found them again.", sessions.resynchronized)
        text.counter(
            "pgweir_protocol_anomalies",
            "What breaks the protocol, by name.",
            Anomaly.allCases.map { ([("name", $0.name)], Double(sessions.count($0))) }
        )
    }

    private func statements(_ text: inout MetricsText) {
        let totals = counters.totals
        text.counter(
            "pgweir_statements",
            "Statements by what came of them.",
            [
                ([("outcome", "completed")], Double(totals.completed)),
                ([("outcome", "failed")], Double(totals.failed)),
                ([("outcome", "skipped")], Double(totals.skipped)),
                ([("outcome", "uncertain")], Double(totals.uncertain)),
            ]
        )
        text.counter(
            "pgweir_statements_by_protocol",
            "Statements that the server started, by protocol.",
            StatementProtocol.allCases.map { ([("protocol", $0.metricName)], Double(counters.byProtocol[$0] ?? 0)) }
        )
        text.counter("pgweir_statements_unattributed", "Those whose user is not known.", counters.unattributed.started)
        text.counter("pgweir_rows", "Rows of finished statements.", totals.rows)
        text.counter("pgweir_cost_units", "Cost that is proven.", CostUnits(micro: totals.costLow).units)
        text.counter(
            "pgweir_cost_units_unattributed",
            "Of that, what is nobody's.",
            max(0, CostUnits(micro: counters.unattributed.costLow).units)
        )
        text.gauge(
            "pgweir_cost_units_unproven",
            "Cost of statements that are under way or in doubt.",
            CostUnits(micro: totals.cost &- totals.costLow).units
        )
        text.counter("pgweir_unread_request_bytes", "Bytes of requests that could not be read.", totals.hidden)
        text.counter(
            "pgweir_pattern_overflow",
            "Statements whose pattern found no room at once: they count with others of their user.",
            counters.patternOverflow
        )
        text.counter(
            "pgweir_pattern_evictions",
            "Patterns that were added up with others of their user.",
            counters.patternEvictions
        )
        text.counter(
            "pgweir_sample_evictions",
            "Texts of patterns that made room for others before they were priced.",
            counters.sampleEvictions
        )
        text.counter(
            "pgweir_principal_evictions",
            "Users' addresses that were added up with others.",
            counters.principalEvictions
        )
        text.counter(
            "pgweir_unsettled_statements",
            "Long statements whose time stays possible: too many waited for settlement.",
            counters.unsettled
        )
        text.counter(
            "pgweir_time_evidence_lost",
            "Statements and transactions that found no room among what tells load and lock waits.",
            counters.lostEvidence
        )
        text.counter(
            "pgweir_worker_commands_dropped",
            "Batches of prices and session owners that were dropped before a worker took them; they are asked for again.",
            counters.droppedCommands
        )
        text.gauge("pgweir_patterns", "Patterns that are known.", Double(counters.patterns))
        text.gauge(
            "pgweir_principals",
            "Users in their databases, by address, that are known.",
            Double(counters.principals)
        )
        text.gauge("pgweir_sample_bytes", "Bytes of texts that are kept to be priced.", Double(counters.sampleBytes))
        memory(&text)
        durations(&text)
    }

    /// The budget of memory, and which table has how much of it.
    private func memory(_ text: inout MetricsText) {
        text.gauge("pgweir_memory_budget_bytes", "Bytes of memory to get along with.", Double(facts.memoryBudget))
        text.gauge(
            "pgweir_memory_bytes",
            "Bytes that a table takes.",
            counters.memory.map { ([("table", $0.name)], Double($0.bytes)) }
        )
        text.gauge(
            "pgweir_memory_limit_bytes",
            "Bytes that a table takes at most.",
            counters.memory.map { ([("table", $0.name)], Double($0.most)) }
        )
    }

    /// Bounds are powers of two, which the counts are exact for.
    private func durations(_ text: inout MetricsText) {
        var buckets: [(bound: Double, count: UInt64)] = []
        var sum: UInt64 = 0
        for (exponent, count) in counters.octaves.enumerated() {
            sum += count
            let next = exponent + 1
            guard next >= 16, next <= 38, next % 2 == 0 else { continue }
            buckets.append((Double(UInt64(1) << UInt64(next)) / 1e9, sum))
        }
        text.histogram(
            "pgweir_statement_duration_seconds",
            "Server time of finished statements.",
            buckets,
            count: sum,
            sum: Double(counters.totals.duration) / 1e9
        )
    }

    private func verification(_ text: inout MetricsText) {
        let servers = facts.verification ?? []
        func label(_ server: VerificationFacts) -> (String, String) { ("server", String(server.server)) }
        text.gauge(
            "pgweir_verify_seen_ratio",
            "The share of the statements that a server counted in the last span which was seen.",
            servers.compactMap { server in server.ratio.map { ([label(server)], $0) } }
        )
        text.counter(
            "pgweir_verify_statements",
            "Statements that clients sent, as a server counted them, and what of them was seen.",
            servers.flatMap { server in
                [
                    ([label(server), ("by", "server")], Double(server.totalCounted)),
                    ([label(server), ("by", "tap")], Double(server.totalSeen)),
                ]
            }
        )
        text.gauge(
            "pgweir_verify_reasons",
            "Why not all was seen in the last span: sessions, statements or losses, by reason.",
            servers.flatMap { server in
                server.reasons.map { ([label(server), ("reason", $0.kind)], Double($0.count)) }
            }
        )
        text.gauge(
            "pgweir_verify_up",
            "Whether a server tells what it counted.",
            servers.map { ([label($0)], $0.problem == nil && $0.ended != nil ? 1.0 : 0) }
        )
    }

    private func pricing(_ text: inout MetricsText) {
        text.counter(
            "pgweir_price_lookups",
            "Prices that stood with their pattern or in the first level (hit), or did not (miss).",
            [([("result", "hit")], Double(counters.priceHits)), ([("result", "miss")], Double(counters.priceMisses))]
        )
        guard let pricing = facts.pricing else { return }
        func value(_ name: String) -> Double { Double(pricing.values.first { $0.name == name }?.value ?? 0) }
        text.counter(
            "pgweir_price_questions",
            "Prices that workers asked for, by who answered.",
            [
                ([("answer", "store")], value("found")), ([("answer", "planner")], value("priced")),
                ([("answer", "none")], value("failed")),
            ]
        )
        text.gauge("pgweir_explain_queue_length", "Patterns that wait for a plan.", value("waiting"))
        text.gauge("pgweir_explain_queue_age_seconds", "How long the first of them has waited.", pricing.age)
        text.counter("pgweir_explain_requests", "Plans asked for.", value("asked"))
        text.counter(
            "pgweir_explain_failures",
            "Plans that were not to be had, by reason.",
            [
                ([("reason", "refused")], value("failed") - value("unsafe")), ([("reason", "unsafe")], value("unsafe")),
                ([("reason", "server")], value("server_errors")),
            ]
        )
        text.counter(
            "pgweir_explain_refusals",
            "Statements that were not planned, by the check that refused them.",
            pricing.refusals.map { ([("check", $0.name)], Double($0.value)) }
        )
        text.counter(
            "pgweir_explain_parser_failures",
            "Statements over which the parser's process ended or took too long.",
            value("parser_failures")
        )
        text.counter(
            "pgweir_explain_held_backends",
            "Server processes that ignored their timeout and pg_terminate_backend.",
            value("held")
        )
        text.counter("pgweir_price_store_errors", "Failures of the store of prices.", value("store_errors"))
        text.counter("pgweir_price_queue_overflow", "Questions that found no room.", value("overflow"))
        text.counter("pgweir_price_drifts", "Prices that moved by more than a factor of four.", value("drifted"))
        text.gauge("pgweir_prices_known", "Prices that are known.", value("known"))
    }

    private func write(_ quotas: QuotaCensus, _ text: inout MetricsText) {
        text.gauge(
            "pgweir_quota_users",
            "Users by how they stand.",
            Verdict.allCases.map { ([("verdict", $0.rawValue)], Double(quotas.bands[$0] ?? 0)) }
        )
        text.gauge("pgweir_quota_held", "Limits that wait for consent.", Double(quotas.held))
        func label(_ user: UserKey, _ name: String?) -> String {
            showsNames ? name ?? user.description : user.description
        }
        text.gauge(
            "pgweir_quota_usage_ratio",
            "How full the fullest budget of the heaviest users is.",
            quotas.heaviest.map { ([("user", label($0.user, $0.name))], $0.utilization) }
        )
        text.counter(
            "pgweir_user_cost_units",
            "What the heaviest users spent since they are among them, and all others.",
            quotas.heaviest.map { ([("user", label($0.user, $0.name))], $0.spent) } + [
                ([("user", "_other")], quotas.others)
            ]
        )
        guard let facts = facts.quotas else { return }
        func value(_ name: String) -> Double { Double(facts.values.first { $0.name == name }?.value ?? 0) }
        text.gauge("pgweir_quota_decides", "Whether this node decides.", facts.isLeader ? 1 : 0)
        text.gauge("pgweir_ledger_waiting", "Registers that wait to be written.", value("waiting"))
        text.counter("pgweir_ledger_failures", "Failures of the ledger's store.", value("store_failures"))
        text.counter("pgweir_ledger_losses", "Times that the store had lost its totals.", value("store_losses"))
        text.gauge(
            "pgweir_ledger_origins_booked",
            "Pairs of client and server that this node books.",
            value("origins_booked")
        )
        text.gauge(
            "pgweir_ledger_origins_elsewhere",
            "Pairs of client and server that this node sees and another one books.",
            value("origins_elsewhere")
        )
        text.gauge(
            "pgweir_ledger_unclaimed",
            "Usage that waits until it is known which node books it.",
            value("unclaimed")
        )
        text.counter(
            "pgweir_ledger_elsewhere_cost_units",
            "Cost units that were seen here and are booked by another node.",
            value("units_elsewhere")
        )
        text.counter(
            "pgweir_ledger_unclaimed_cost_units",
            "Cost units that nobody booked, because the store did not say who does.",
            value("units_unclaimed_lost")
        )
        text.counter("pgweir_ledger_late", "Usage that came after its window had gone.", value("late"))
        text.counter("pgweir_ledger_lost", "Usage that found no room on its way.", value("lost"))
        text.counter("pgweir_audit_lost", "Audit entries that could not be written.", value("audit_lost"))
    }

    private func write(_ enforcement: EnforcementService.Summary, _ text: inout MetricsText) {
        text.counter("pgweir_enforcement_loads", "Times that limits were loaded.", enforcement.loads)
        text.counter("pgweir_enforcement_failures", "Times that a backend did not take them.", enforcement.failures)
        text.counter("pgweir_enforcement_drains", "Times that old connections were let go.", enforcement.drains)
        text.gauge(
            "pgweir_enforcement_limits",
            "Limits at backends by state.",
            EnforcementState.allCases.map { ([("state", $0.rawValue)], Double(enforcement.states[$0] ?? 0)) }
        )
        text.gauge(
            "pgweir_enforcement_lag_seconds",
            "How long the oldest limit that is wanted has not been written.",
            enforcement.lag
        )
        text.gauge(
            "pgweir_enforcement_lingering",
            "Limits in force that nobody wants any more.",
            Double(enforcement.lingering)
        )
        text.gauge("pgweir_enforcement_problems", "Backends with a problem.", Double(enforcement.problems.count))
    }

    private func write(_ redis: [(store: String, status: RedisStatus)], _ text: inout MetricsText) {
        guard !redis.isEmpty else { return }
        text.gauge(
            "pgweir_redis_circuit_state",
            "The circuit breaker: 1 at the state it is in.",
            redis.flatMap { entry in
                CircuitState.allCases.map {
                    ([("store", entry.store), ("state", "\($0)")], entry.status.circuit == $0 ? 1.0 : 0)
                }
            }
        )
        func counter(_ name: String, _ help: String, _ value: (RedisStatus) -> UInt64) {
            text.counter(name, help, redis.map { ([("store", $0.store)], Double(value($0.status))) })
        }
        counter("pgweir_redis_operations", "Operations that were answered.") { $0.operations }
        counter("pgweir_redis_timeouts", "Operations without an answer in time.") { $0.timeouts }
        counter("pgweir_redis_errors", "Operations that failed.") { $0.errors.values.reduce(0, +) }
        counter("pgweir_redis_reconnects", "Connections made anew.") { $0.reconnects }
        counter("pgweir_redis_circuit_openings", "Times that the circuit opened.") { $0.openings }
        text.gauge(
            "pgweir_redis_queue_length",
            "Operations that wait.",
            redis.map { ([("store", $0.store)], Double($0.status.queued)) }
        )
        text.gauge(
            "pgweir_redis_latency_seconds",
            "From writing a command to its reply, as a moving average.",
            redis.map { ([("store", $0.store)], $0.status.latency) }
        )
    }

    private func write(_ history: HistoryFacts, _ text: inout MetricsText) {
        text.gauge("pgweir_history_size_bytes", "The size of the history.", Double(history.bytes))
        text.counter("pgweir_history_rows", "Lines written.", history.rows)
        text.counter("pgweir_history_failures", "Minutes that could not be written.", history.failures)
        text.counter("pgweir_history_lost_statements", "Statements that found no room.", counters.activityLost)
    }
}

extension StatementProtocol {
    fileprivate var metricName: String {
        switch self {
        case .simple: "simple"
        case .extended: "extended"
        case .functionCall: "function_call"
        }
    }
}
