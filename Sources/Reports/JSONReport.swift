// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
public import Pipeline
import PostgresWire
import Quotas

/// The report as one JSON object, as `Documentation/report.md` and `report.schema.json` describe it.
public struct JSONReport {
    private let result: ReplayResult
    private let top: Int?

    /// A report of `result` with at most `top` patterns; `nil`: all.
    public init(_ result: ReplayResult, top: Int?) {
        self.result = result
        self.top = top
    }

    /// UTF-8, ends with a line feed.
    public func render() -> [UInt8] {
        var json = JSONWriter(isIndented: true)
        json.object { json in write(&json) }
        json.newline()
        return json.bytes
    }

    /// The members of the object.
    func write(_ json: inout JSONWriter) {
        json.field("version", 1)
        json.field("complete", !result.isCancelled)
        capture(&json)
        sessions(&json)
        statements(&json)
        users(&json)
        unattributed(&json)
        patterns(&json)
        limits(&json)
        group("databases", .database, &json)
        group("clients", .client, &json)
        performance(&json)
    }

    private func capture(_ json: inout JSONWriter) {
        let (capture, tcp) = (result.capture, result.reassembly)
        json.object("capture") { json in
            json.field("packets", capture.packets)
            json.field("bytes", capture.bytes)
            json.field("first", capture.packets > 0 ? capture.first.rfc3339 : nil)
            json.field("last", capture.packets > 0 ? capture.last.rfc3339 : nil)
            json.field("segments", tcp.segments)
            json.field("flows", tcp.flows)
            json.field("gaps", tcp.gaps)
            json.field("gap_bytes", tcp.gapBytes)
            json.field("retransmitted_segments", tcp.retransmitted)
            json.field("out_of_order_segments", tcp.outOfOrder)
            json.field("conflicting_segments", tcp.conflicts)
            json.field("out_of_window_segments", tcp.outOfWindow)
            json.field("bad_checksum_segments", tcp.badChecksums)
            json.field("refused_segments", tcp.refused)
            json.field("reopened_connections", tcp.reopened)
            json.field("keep_alive_segments", tcp.keepAlives)
            json.field("truncated_packets", capture.truncatedPackets)
            json.field("shortened_packets", capture.shortenedPackets)
            json.field("shortened_bytes", capture.shortenedBytes)
            json.field("fragments", capture.fragments)
            json.object("ignored") { json in
                for entry in capture.ignoredByReason { json.field(named: entry.reason.name, entry.count) }
            }
            json.array("other_ports") { json in
                for entry in capture.otherPorts.ranked {
                    json.object { json in
                        json.field("port", entry.port)
                        json.field("packets", entry.count)
                        json.field("postgresql", entry.isPostgreSQL)
                        json.field("tls", entry.isTLS)
                    }
                }
            }
            json.field("evicted_flows", tcp.evicted)
            json.field("over_budget_segments", tcp.overBudget)
            json.field("kernel_dropped", capture.kernelDropped)
            json.field("interface_dropped", capture.interfaceDropped)
            json.object("relay_dropped") { json in
                json.field("bytes", capture.relayDroppedBytes)
                json.field("records", capture.relayDroppedRecords)
            }
            json.field("shed_segments", capture.shedSegments)
            json.field("clock_steps", capture.clockSteps)
            json.field("expired_flows", tcp.expired)
            json.field("cut_files", capture.cutFiles)
            json.field("damaged_files", capture.damagedFiles)
        }
    }

    private func sessions(_ json: inout JSONWriter) {
        let sessions = result.sessions
        json.object("sessions") { json in
            json.field("total", sessions.total)
            json.field("attributed", sessions.attributed)
            json.field("midstream", sessions.midstream)
            json.field("encrypted", sessions.encrypted)
            json.field("replication", sessions.replication)
            json.field("cancel_requests", sessions.cancelRequests)
            json.field("pooled", sessions.pooled)
            json.field("other_servers", result.otherServers)
            json.field("auth_failed", sessions.authFailed)
            json.field("not_postgresql", sessions.notPostgreSQL)
            json.field("lost_sync", sessions.lostSync)
            json.field("resynchronized", sessions.resynchronized)
            json.field("messages", sessions.messages)
            json.object("anomalies") { json in
                for anomaly in Anomaly.allCases where sessions.count(anomaly) > 0 {
                    json.field(named: anomaly.name, sessions.count(anomaly))
                }
            }
        }
    }

    private func statements(_ json: inout JSONWriter) {
        let totals = result.totals
        json.object("statements") { json in
            json.field("total", totals.started)
            json.field("completed", totals.completed)
            json.field("failed", totals.failed)
            json.field("skipped", totals.skipped)
            json.field("uncertain", totals.uncertain)
            json.field("answers_without_request", result.sessions.orphanAnswers)
            json.object("by_protocol") { json in
                json.field("simple", result.byProtocol[.simple] ?? 0)
                json.field("extended", result.byProtocol[.extended] ?? 0)
                json.field("function_call", result.byProtocol[.functionCall] ?? 0)
            }
            json.field("assumed_prices", result.assumedPrices)
            json.field("unsettled", result.unsettled)
            json.field("time_evidence_lost", result.lostEvidence)
        }
    }

    private func users(_ json: inout JSONWriter) {
        json.array("users") { json in
            for group in result.groups(by: .user) {
                json.object { json in
                    json.field("user", group.user)
                    json.field("database", group.database)
                    counts(group.counts, &json)
                    let known = group.user.flatMap { result.standings[$0] }
                    json.field("tier", known?.tier?.name)
                    json.field("utilization", known?.standing.utilization ?? 0, places: 6)
                    json.field("utilization_high", known?.standing.utilizationHigh ?? 0, places: 6)
                    json.field("verdict", (known?.standing.verdict ?? .ok).rawValue)
                }
            }
        }
    }

    private func counts(_ counts: PrincipalCounts, _ json: inout JSONWriter) {
        json.field("statements", counts.started)
        json.field("completed", counts.completed)
        json.field("failed", counts.failed)
        json.field("skipped", counts.skipped)
        json.field("uncertain", counts.uncertain)
        json.field("errors", counts.errors)
        json.field("simple_ok", counts.simpleOK)
        json.field("portals_ok", counts.portalsOK)
        json.field("function_calls_ok", counts.functionCallsOK)
        json.field("plannable", counts.plannable)
        json.field("rows", counts.rows)
        json.field("unread_request_bytes", counts.hidden)
        json.field("duration_seconds", nanoseconds: counts.duration)
        json.field("cost_units", CostUnits(micro: counts.cost))
        json.field("cost_units_low", CostUnits(micro: counts.costLow))
    }

    private func limits(_ json: inout JSONWriter) {
        json.object("limits") { json in
            json.field("patterns_added_up", result.patternEvictions)
            json.field("statements_without_room", result.patternOverflow)
            json.field("users_forgotten", result.forgottenUsers)
        }
    }

    private func unattributed(_ json: inout JSONWriter) {
        json.object("unattributed") { json in counts(result.principals[0].counts, &json) }
    }

    private func patterns(_ json: inout JSONWriter) {
        json.array("patterns") { json in
            for pattern in result.patterns.prefix(top ?? .max) {
                json.object { json in
                    json.field("fingerprint", pattern.fingerprint.description)
                    if pattern.text.isEmpty {
                        json.field("text", nil as String?)
                    } else {
                        json.field("text", text: pattern.text)
                    }
                    json.field("database", pattern.database)
                    json.field("calls", pattern.calls)
                    json.field("rows", pattern.rows)
                    json.field("errors", pattern.errors)
                    json.field("cost_units", pattern.cost)
                    json.field("cost_units_low", pattern.costLow)
                    durations(pattern.durations, &json)
                }
            }
        }
    }

    private func durations(_ durations: DurationHistogram, _ json: inout JSONWriter) {
        json.object("duration_seconds") { json in
            json.field("mean", nanoseconds: durations.count == 0 ? 0 : durations.sum / durations.count)
            json.field("p50", nanoseconds: durations.percentile(0.5))
            json.field("p95", nanoseconds: durations.percentile(0.95))
            json.field("p99", nanoseconds: durations.percentile(0.99))
            json.field("max", nanoseconds: durations.longest)
            json.field("sum", nanoseconds: durations.sum)
        }
    }

    private func group(_ name: StaticString, _ grouping: Grouping, _ json: inout JSONWriter) {
        json.array(name) { json in
            for group in result.groups(by: grouping) {
                json.object { json in
                    if grouping == .client {
                        json.field("client", group.client)
                    } else {
                        json.field("database", group.database)
                    }
                    counts(group.counts, &json)
                }
            }
        }
    }

    private func performance(_ json: inout JSONWriter) {
        let elapsed = max(result.elapsed, 1e-9)
        json.object("performance") { json in
            json.field("elapsed_seconds", result.elapsed, places: 6)
            json.field("statements_per_second", Double(result.totals.started) / elapsed, places: 1)
            json.field("bytes_per_second", Double(result.consumed) / elapsed, places: 1)
            json.array("worker_cpu_seconds") { json in
                for seconds in result.workerCPU { json.element(seconds, places: 6) }
            }
            json.field("price_cache_hits", result.priceHits)
            json.field("price_cache_misses", result.priceMisses)
        }
    }
}
