// SPDX-License-Identifier: Apache-2.0
import Glibc
import Pipeline
import Reports
import Synchronization
import Verification

/// Compares now and then what servers count with what is seen: on a thread for each server, which nothing waits for.
enum VerificationService {
    /// A server that cannot be asked is tried again after so many seconds.
    private static let retry = 60.0
    /// A question that took so long is put again after so many times as long, at the soonest.
    private static let rest = 100.0

    /// Begins; `servers` are connection strings or URIs of libpq.
    static func start(_ servers: [String], _ view: DaemonView, every interval: Double) {
        guard !servers.isEmpty else { return }
        view.verification.withLock { $0 = servers.indices.map { VerificationFacts(server: $0 + 1) } }
        for (index, server) in servers.enumerated() {
            let thread = ServiceThread {
                while true {
                    let problem = follow(server, index, view, interval)
                    view.verification.withLock { facts in
                        if facts?[index].problem == nil { Log.warning("verify.problem", problem) }
                        facts?[index].problem = problem
                        facts?[index].ratio = nil
                    }
                    pause(max(interval, retry))
                }
            }
            if thread == nil { Log.warning("verify.no_thread", "no thread to compare with what servers count.") }
        }
    }

    /// Compares until that fails; returns why.
    private static func follow(_ server: String, _ index: Int, _ view: DaemonView, _ interval: Double) -> String {
        do {
            let statistics = try StatementStatistics(server, application: "pgweir")
            let verifier = Verifier(statistics) {
                guard let seen = view.seen() else { throw SilentWorker() }
                return seen
            }
            try verifier.begin()
            var isBlind = false
            while true {
                pause(max(interval, verifier.effort * rest))
                guard let found = try verifier.finish() else { continue }
                let facts = view.verification.withLock { all -> VerificationFacts? in
                    all?[index].take(found)
                    return all?[index]
                }
                guard let facts else { continue }
                if facts.isBlind != isBlind {
                    isBlind = facts.isBlind
                    let advice = isBlind ? ". `pgweir verify` tells whose." : "."
                    Log.warning(isBlind ? "verify.blind" : "verify.sees", facts.line + advice)
                }
            }
        } catch {
            return "\(error)"
        }
    }

    private static func pause(_ seconds: Double) {
        let end = SystemClock.now() + seconds
        while SystemClock.now() < end { usleep(UInt32(min(1000, max(0.001, end - SystemClock.now())) * 1_000_000)) }
    }

    private struct SilentWorker: Error, CustomStringConvertible {
        var description: String { "a worker does not answer" }
    }
}

extension VerificationFacts {
    /// Takes the end of a span.
    mutating func take(_ comparison: Comparison) {
        (problem, ratio, isExplained) = (nil, comparison.seenRatio, comparison.isExplained)
        counted = 0
        seen = 0
        for part in comparison.lines.flatMap({ [$0.queries, $0.utilities] }) {
            counted &+= part.counted
            seen &+= min(part.seen, part.counted)
        }
        totalCounted &+= counted
        totalSeen &+= seen
        (seconds, ended) = (comparison.seconds, SystemClock.time())
        reasons = comparison.reasons.map { ($0.key.rawValue, $0.value) }.sorted { $0.kind < $1.kind }
    }
}
