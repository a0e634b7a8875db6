// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
public import PostgresWire

/// What is asked and told about prices, and what comes back.
extension Metering where Recorder: ~Copyable {
    /// What a completed statement teaches, where prices are learned.
    @inline(never)
    mutating func learn(_ event: StatementEvent, _ pattern: Slot<PatternRecord>, of owner: Int32) {
        if event.kind != .copy { pattern.value.learn(event.duration, of: owner) }
        let isChange: Bool
        switch event.kind {
        case .utility: isChange = true
        case .copy, .insert, .update, .delete, .merge: isChange = event.rows >= Self.manyRows
        default: isChange = false
        }
        guard isChange, prices.isPlanning, event.pattern > 0 else { return }
        let database = principals.database(pattern.value.database)
        prices.hold(PlanChange(database: database, pattern: patterns.text(of: event.pattern)), of: event.flow)
    }

    /// So many rows at once may change a table's plans.
    private static var manyRows: UInt64 { 10_000 }

    /// What a transaction changed counts when it commits.
    @inline(__always)
    public mutating func transactionEnded(_ flow: FlowHandle, committed: Bool) {
        prices.transactionEnded(flow, committed: committed)
    }

    /// What is asked about patterns; `nil`: nobody answers.
    public var pricing: PriceRequests? {
        _read { yield prices.requests }
    }

    /// What waits to be asked and told, if prices are asked for; taken once.
    public mutating func takePricing() -> PriceRequests.Waiting? { prices.requests?.take() }

    /// One of every pattern that ran.
    public func allQuestions() -> [PriceQuestion] {
        (1..<max(1, patterns.highWater)).compactMap { place in
            guard let record = patterns.occupant(at: place), record.value.calls > 0 else { return nil }
            return question(record.handle)
        }
    }

    /// What is asked about a pattern; `nil`: there is nothing that could be priced.
    public func question(_ handle: PatternHandle) -> PriceQuestion? {
        let record = patterns.slot(handle)
        guard !record.value.isOther, let sample = samples[record.place] ?? withoutText(record.value.owner) else {
            return nil
        }
        return PriceQuestion(
            key: record.value.key,
            fingerprint: record.value.fingerprint,
            pattern: patterns.text(of: handle),
            sample: sample,
            database: principals.database(record.value.database),
            limit: record.value.scope.limit,
            offset: record.value.scope.offset,
            calls: max(1, record.value.calls)
        )
    }

    /// What is known of a statement that no planner is asked about: whose it is, as a hash.
    private func withoutText(_ owner: Int32) -> PatternSample? {
        guard !prices.isPlanning else { return nil }
        var sample = PatternSample(text: [])
        sample.user = "\(principals.owners.key(of: owner))"
        return sample
    }

    /// Prices that the service found.
    public mutating func take(_ answers: [PriceAnswer], at time: Timestamp) {
        prices.take(answers, at: time, patterns)
    }

    /// Settings of roles, on which prices depend from now on.
    public mutating func take(_ roles: RoleFacts) {
        guard prices.take(roles) else { return }
        for place in 1..<max(1, principals.highWater) {
            if let payer = principals.occupant(at: place) { prices.applyRole(to: payer) }
        }
    }

    /// Other prices hold from now on; what was charged stays as it is.
    public mutating func price(by list: PriceList) {
        prices.take(list)
        patterns.expirePrices()
    }

    /// Durations since the last time, of `count` patterns from `start` on; returns where to go on.
    public mutating func observations(from start: Int32, count: Int) -> (found: [PriceObservation], next: Int32) {
        let end = Int32(clamping: patterns.highWater)
        guard end > 1 else { return ([], 1) }
        let first = start >= end ? 1 : max(1, start)
        let last = min(Int(end), Int(first) + count)
        var found: [PriceObservation] = []
        for place in Int(first)..<last {
            guard let record = patterns.occupant(at: place), let taken = record.value.takeDurations() else { continue }
            let payer = principals.owners.key(of: taken.user)
            found.append(PriceObservation(key: record.value.key, payer: payer, durations: taken.durations))
        }
        return (found, Int32(last))
    }
}
