// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Explain
import Pipeline

/// Prices for what ran before, for `pgweir cost warm`.
public struct PriceWarmer {
    /// The planner that is asked, and where prices are kept.
    public var server: ExplainConfiguration
    /// At most so many EXPLAINs a second.
    public var rate: Double

    /// Asks `server` at most `rate` times a second.
    public init(_ server: ExplainConfiguration, rate: Double) { (self.server, self.rate) = (server, rate) }

    /// Prices what was gathered and is not stored yet.
    public func price(_ gathered: StatementCollector) throws {
        let questions = gathered.questions
        guard let options = server.options else { return }
        let store = try server.keeping.open()
        let stored = Set(try store.prices(of: questions.map(\.key)).map(\.key))
        let missing = questions.filter { !stored.contains($0.key) }.sorted { $0.calls > $1.calls }
        var limits = Pricer.Limits()
        (limits.rate, limits.share, limits.queue) = (rate, 1, max(1, missing.count))
        limits.remembered = max(1, missing.count)
        let pricer = Pricer(store: store, explainer: Explainer(options), fallback: .fallback, limits: limits) {
            Output.complain("warning: \($0)")
        }
        _ = pricer.take(questions: missing, changes: [], observations: [], overflow: 0)
        Interrupt.install()
        while true {
            _ = pricer.work(patience: 1)
            guard pricer.counters.waiting > 0, !Interrupt.isRequested else { break }
            // The rate allows no more for now.
            Interrupt.wait(0.02)
        }
        let counters = pricer.counters
        var text = "\(questions.count) patterns: \(stored.count) stored before, \(counters.priced) priced, "
        text += "\(counters.failed) without a price"
        let left = missing.count - Int(counters.priced + counters.failed)
        if left > 0 { text += ", \(left) not asked for (no server, asked by another node, or stopped)" }
        Output.complain(text + ".")
        if counters.priced == 0, counters.serverErrors > 0 { throw Sysexit.unavailable }
    }
}
