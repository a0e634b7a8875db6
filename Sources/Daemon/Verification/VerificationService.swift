// SPDX-License-Identifier: Apache-2.0
import Domain
import Platform
import Reports
import ServiceLifecycle
import Synchronization
import Verification

/// A span over which what a server counts is compared with what is seen, again and again.
struct VerificationSpan {
    /// Ends a span and begins the next; `nil`: nothing could be said of it.
    var next: () throws -> Comparison?
    /// How long the last questions took, in seconds.
    var effort: () -> Double
}

/// Compares now and then what servers count with what is seen: on a thread for each server, which nothing waits for.
final class VerificationService: Service {
    /// Begins the first span at a server.
    typealias Begin =
        @Sendable (_ server: String, _ seen: @escaping () throws -> SeenSnapshot) throws -> VerificationSpan

    /// A server that cannot be asked is tried again after so many seconds.
    private static let retry = 60.0
    /// A question that took so long is put again after so many times as long, at the soonest.
    private static let rest = 100.0

    private let servers: [(name: String, runner: Runner)]
    private let view: DaemonView
    private let interval: Double
    private let begin: Begin

    /// `servers` are connection strings or URIs of libpq.
    init(
        _ servers: [String],
        _ view: DaemonView,
        every interval: Double,
        clock: any ServiceClock = SystemClock(),
        begin: @escaping Begin = VerificationService.begin
    ) {
        self.servers = servers.map { ($0, Runner(clock)) }
        (self.view, self.interval, self.begin) = (view, interval, begin)
        view.verification.withLock { $0 = servers.indices.map { VerificationFacts(server: $0 + 1) } }
    }

    /// Compares until the end, which does not wait for an answer.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for (index, server) in servers.enumerated() {
                group.addTask { [self] in
                    let complaint = "no thread to compare with what servers count."
                    await server.runner.run(complaint, isAwaited: false) { [self] in
                        serve(server.name, index, server.runner)
                    }
                }
            }
        }
    }

    private func serve(_ server: String, _ index: Int, _ runner: Runner) {
        while !runner.isFinished {
            guard let problem = follow(server, index, runner) else { return }
            view.verification.withLock { facts in
                if facts?[index].problem == nil { Log.warning("verify.problem", problem) }
                facts?[index].problem = problem
                facts?[index].ratio = nil
            }
            runner.sleep(max(interval, Self.retry))
        }
    }

    /// Compares until that fails; returns why, or `nil` if it is to end.
    private func follow(_ server: String, _ index: Int, _ runner: Runner) -> String? {
        do {
            let span = try begin(server) { [view] in
                guard let seen = view.seen() else { throw SilentWorker() }
                return seen
            }
            var isBlind = false
            while true {
                runner.sleep(max(interval, span.effort() * Self.rest))
                if runner.isFinished { return nil }
                guard let found = try span.next() else { continue }
                let facts = view.verification.withLock { all -> VerificationFacts? in
                    all?[index].take(found, at: runner.clock.time())
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

    /// Asks a real server.
    @Sendable
    private static func begin(_ server: String, _ seen: @escaping () throws -> SeenSnapshot) throws -> VerificationSpan
    {
        let verifier = Verifier(try StatementStatistics(server, application: "pgweir"), look: seen)
        try verifier.begin()
        return VerificationSpan(next: { try verifier.finish() }, effort: { verifier.effort })
    }

    private struct SilentWorker: Error, CustomStringConvertible {
        var description: String { "a worker does not answer" }
    }
}

extension VerificationFacts {
    /// Takes the end of a span.
    mutating func take(_ comparison: Comparison, at now: Timestamp) {
        (problem, ratio, isExplained) = (nil, comparison.seenRatio, comparison.isExplained)
        counted = 0
        seen = 0
        for part in comparison.lines.flatMap({ [$0.queries, $0.utilities] }) {
            counted &+= part.counted
            seen &+= min(part.seen, part.counted)
        }
        totalCounted &+= counted
        totalSeen &+= seen
        (seconds, ended) = (comparison.seconds, now)
        reasons = comparison.reasons.map { ($0.key.rawValue, $0.value) }.sorted { $0.kind < $1.kind }
    }
}
