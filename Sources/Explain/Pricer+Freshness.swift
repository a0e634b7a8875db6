// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain

/// What keeps prices right: durations, changes of tables, age, and what others do to the store.
extension Pricer {
    func sweep(at now: Int64) {
        for key in changes.due(at: now) {
            guard let entry = known[key] else { continue }
            counters.refreshed &+= 1
            queue.succeeded(key)
            enqueue(key, entry.question, calls: max(1, entry.runs), at: now)
        }
        guard now &- lastSweep > 10_000_000_000 else { return }
        lastSweep = now
        compareWithStore(at: now)
        if now &- lastPoll > 60_000_000_000 {
            pollRoles()
            pollSizes(at: now)
        }
        if now &- lastSave > 60_000_000_000 { save() }
        guard explainer != nil else { return }
        let popular = Set(known.sorted { $0.value.runs > $1.value.runs }.prefix(1000).map(\.key))
        for (key, entry) in known {
            if isOld(entry.price, isPopular: popular.contains(key)) {
                counters.refreshed &+= 1
            } else if entry.price.method != .failed || !entry.hasRun {
                continue
            }
            // What failed and runs on is asked for again when its rest is over, which the queue knows.
            enqueue(key, entry.question, calls: max(1, entry.runs), at: now)
        }
    }

    /// Settings of roles; while the server does not answer, what was known holds.
    private func pollRoles() {
        if let found = try? explainer?.roles() { roles = found }
    }

    /// Tables that have grown or shrunk since the last look have their patterns asked for again.
    func pollSizes(at now: Int64) {
        lastPoll = now
        guard let explainer else { return }
        var tables: [String: Set<String>] = [:]
        for entry in known.values { tables[entry.price.database, default: []].formUnion(entry.price.tables) }
        for (database, names) in tables where !names.isEmpty && rests[database] == nil {
            guard let found = try? explainer.sizes(of: names.sorted(), database: database) else { continue }
            if let before = sizes[database] {
                for name in found.changed(since: before) { changes.note(table: name, of: database, at: now) }
            }
            sizes[database] = found
        }
    }

    /// What others did to the store: pinned, priced anew, or forgotten; a part of the known prices a time.
    func compareWithStore(at now: Int64) {
        guard store.isShared, noteEpoch() else { return }
        let keys = Array(known.keys.dropFirst(compared).prefix(Self.comparedAtOnce))
        compared = keys.count < Self.comparedAtOnce ? 0 : compared + Self.comparedAtOnce
        let before = counters.storeErrors
        for start in stride(from: 0, to: keys.count, by: 100) {
            let part = Array(keys[start..<min(start + 100, keys.count)])
            let stored = find(part)
            guard counters.storeErrors == before else { return }
            if toRestore > 0 {
                toRestore = max(0, toRestore - part.count)
                put(part.filter { stored[$0] == nil }.compactMap { known[$0]?.price })
                continue
            }
            for key in part { compare(key, with: stored[key], at: now) }
        }
    }

    private static var comparedAtOnce: Int { 2000 }

    private func compare(_ key: Fingerprint, with stored: StoredPrice?, at now: Int64) {
        guard let entry = known[key] else { return }
        guard let stored else {
            // Forgotten on purpose: what was pinned is no longer.
            forget(key)
            queue.succeeded(key)
            enqueue(key, entry.question, calls: max(1, entry.runs), at: now)
            if explainer == nil {
                assume(entry.question)
                changed.insert(key)
            }
            return
        }
        let isNews =
            stored.method == .pinned ? stored.cost != entry.price.cost : stored.priced > entry.price.priced
        guard isNews else { return }
        changes.remove(entry.price)
        known[key]?.price = stored
        changes.index(stored)
        changed.insert(key)
    }

    /// Whether the store answers; one that is not the one it was is given the prices that are known here, from the first.
    private func noteEpoch() -> Bool {
        do throws(CostStoreError) {
            let now = try store.epoch()
            if let epoch, epoch != now { (compared, toRestore) = (0, known.count) }
            epoch = now
            return true
        } catch {
            counters.storeErrors &+= 1
            say(error.description, of: "store")
            return false
        }
    }

    func learn(_ observations: [PriceObservation], under load: Load) {
        for observation in observations {
            guard let typical = observation.durations.typical, var price = known[observation.key]?.price else {
                continue
            }
            let milliseconds = typical / load.factor
            let count = UInt64(observation.durations.count)
            price.learned.learn(count, of: milliseconds, cost: price.cost)
            let wasAlone = known[observation.key]?.payers.payers.isEmpty ?? true
            known[observation.key]?.payers.learn(observation.payer, count, of: milliseconds, cost: price.cost)
            // Whoever was alone has a price of its own as soon as somebody else teaches the common one.
            let payers = wasAlone ? known[observation.key]?.payers.payers ?? [] : [observation.payer]
            changedPayers.formUnion(payers.map { PayerKey(price: observation.key, payer: $0) })
            known[observation.key]?.price = price
            known[observation.key]?.isChanged = true
            known[observation.key]?.hasRun = true
            known[observation.key]?.runs &+= count
            changed.insert(observation.key)
        }
    }

    /// What workers are to be told anew.
    func takeChanged() -> [PriceAnswer] {
        defer { (changed, changedPayers) = ([], []) }
        let common = changed.compactMap { known[$0].map { Self.answer($0.price) } }
        let own = changedPayers.compactMap { key -> PriceAnswer? in
            guard let entry = known[key.price], entry.price.method != .pinned, let learned = entry.payers[key.payer]
            else { return nil }
            var price = entry.price
            price.learned = learned
            return Self.answer(price, payer: key.payer)
        }
        return common + own
    }

    func save() {
        lastSave = Self.steady()
        let prices = known.values.filter(\.isChanged).map(\.price)
        for price in prices { known[price.key]?.isChanged = false }
        for start in stride(from: 0, to: prices.count, by: 100) {
            put(Array(prices[start..<min(start + 100, prices.count)]))
        }
    }
}
