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
            queue.add(key, entry.question, calls: max(1, entry.runs), at: now)
        }
        guard now &- lastSweep > 10_000_000_000 else { return }
        lastSweep = now
        compareWithStore(at: now)
        if now &- lastPoll > 60_000_000_000 { pollSizes(at: now) }
        let popular = Set(known.sorted { $0.value.runs > $1.value.runs }.prefix(1000).map(\.key))
        for (key, entry) in known where isOld(entry.price, isPopular: popular.contains(key)) {
            counters.refreshed &+= 1
            queue.add(key, entry.question, calls: max(1, entry.runs), at: now)
        }
        if now &- lastSave > 60_000_000_000 { save() }
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
        let keys = Array(known.keys.dropFirst(compared).prefix(2000))
        compared = keys.count < 2000 ? 0 : compared + 2000
        let before = counters.storeErrors
        for start in stride(from: 0, to: keys.count, by: 100) {
            let part = Array(keys[start..<min(start + 100, keys.count)])
            let stored = find(part)
            guard counters.storeErrors == before else { return }
            // Most are gone: that was no hand, the store was lost. It is given what is known here.
            if part.count > 10, stored.count * 2 < part.count {
                put(part.filter { stored[$0] == nil }.compactMap { known[$0]?.price })
                continue
            }
            for key in part {
                guard let entry = known[key] else { continue }
                if let price = stored[key] {
                    guard price.method == .pinned ? price.cost != entry.price.cost : price.priced > entry.price.priced
                    else { continue }
                    known[key]?.price = price
                    changed.insert(key)
                } else {
                    // Forgotten on purpose: what was pinned is no longer.
                    known[key] = nil
                    queue.succeeded(key)
                    queue.add(key, entry.question, calls: max(1, entry.runs), at: now)
                }
            }
        }
    }

    func learn(_ observations: [PriceObservation]) {
        for observation in observations {
            guard let milliseconds = observation.durations.typical, known[observation.key] != nil else { continue }
            let count = UInt64(observation.durations.count)
            guard var price = known[observation.key]?.price else { continue }
            price.learned.learn(count, of: milliseconds, cost: price.cost)
            known[observation.key]?.price = price
            known[observation.key]?.isChanged = true
            known[observation.key]?.runs &+= count
            changed.insert(observation.key)
        }
    }

    func refreshLearned(at now: Int64) -> [PriceAnswer] {
        defer { changed = [] }
        return changed.compactMap { known[$0].map { Self.answer($0.price) } }
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
