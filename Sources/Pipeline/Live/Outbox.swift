// SPDX-License-Identifier: Apache-2.0
import Costs
import Metering
import Quotas
import Synchronization

/// What a worker hands over without being asked, until a service takes it.
///
/// It is bounded: usage that is not taken is added up by user, origin and time; activity that has no room stays with the
/// worker, and what finds no room at all is counted.
final class Outbox: Sendable {
    private struct Content {
        var usage: [UserUsage] = []
        /// Slots of time in that, and how many there may be before they are added up.
        var slots = 0, mostUnfolded = Outbox.leastUnfolded
        var lostUsage: UInt64 = 0
        /// What was run, until the history takes it: a late answer is not lost, it comes with the next.
        var activity: [ActivityRecord] = []
        var pricing: PricingBatch
    }

    private let content: Mutex<Content>
    private let workers: Int
    /// Slots of usage, once they were added up.
    private let mostUsage: Int

    private static let leastUnfolded = 8192
    private static let mostActivity = 1 << 16

    /// The outbox of one of so many workers, which share what all of them may take.
    init(workers: Int = 1, mostUsage: Int = 1 << 19) {
        self.workers = max(1, workers)
        self.mostUsage = mostUsage / max(1, workers)
        content = Mutex(Content(pricing: PricingBatch(share: max(1, workers))))
    }

    // MARK: The worker

    /// What users used.
    func put(_ usage: [UserUsage]) {
        content.withLock { content in
            content.usage += usage
            content.slots += usage.reduce(0) { $0 + $1.slots.count }
            if content.slots > content.mostUnfolded { fold(&content) }
        }
    }

    /// Whether there is room for what was run; else it stays with the worker, who counts what finds none there.
    var hasRoomForActivity: Bool { content.withLock { $0.activity.count < Self.mostActivity } }

    /// What was run.
    func put(_ activity: [ActivityRecord]) { content.withLock { $0.activity += activity } }

    /// What it asks about prices, and tells of them.
    func put(_ pricing: PricingBatch) { content.withLock { $0.pricing.add(pricing) } }

    // MARK: Services

    func takeUsage() -> [UserUsage] {
        content.withLock { content in
            defer { (content.usage, content.slots, content.mostUnfolded) = ([], 0, Self.leastUnfolded) }
            return content.usage
        }
    }

    /// Slots of usage that found no room, because none was taken for long.
    var lostUsage: UInt64 { content.withLock { $0.lostUsage } }

    func takeActivity() -> [ActivityRecord] {
        content.withLock { content in
            defer { content.activity = [] }
            return content.activity
        }
    }

    func takePricing() -> PricingBatch {
        content.withLock { content in
            defer { content.pricing = PricingBatch(share: workers) }
            return content.pricing
        }
    }

    /// Whether nothing waits but questions about prices.
    var isEmpty: Bool { content.withLock { $0.usage.isEmpty && $0.activity.isEmpty } }

    // MARK: Adding up

    private struct Payer: Hashable {
        var user: String
        var origin: Origin?
    }

    /// Adds up what the same user used from the same place at the same time; so it grows with users and time, not with turns.
    private func fold(_ content: inout Content) {
        var places: [Payer: Int] = [:]
        var folded: [UserUsage] = []
        var slots = 0
        for entry in content.usage {
            let place = places[Payer(user: entry.user, origin: entry.origin)] ?? folded.count
            if place == folded.count {
                places[Payer(user: entry.user, origin: entry.origin)] = place
                folded.append(UserUsage(user: entry.user, slots: [], origin: entry.origin))
            }
            for slot in entry.slots {
                if let index = folded[place].slots.lastIndex(where: { $0.start == slot.start }) {
                    folded[place].slots[index].usage += slot.usage
                } else if slots < mostUsage {
                    folded[place].slots.append(slot)
                    slots += 1
                } else {
                    content.lostUsage &+= 1
                }
            }
        }
        folded.removeAll(where: \.slots.isEmpty)
        (content.usage, content.slots) = (folded, slots)
        // Twice as many until the next time: so it costs little a slot, however many wait.
        content.mostUnfolded = max(Self.leastUnfolded, slots * 2)
    }
}
