// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The usage of one principal: charged when a statement is sent, settled or refunded when it ends.
///
/// It counts in slots of ten seconds. Of these it keeps sums by the hour for reports and, where it is metered, what was
/// not yet handed to the ledger.
public struct Account: Sendable {
    /// The slot that is being added to: ns since the epoch; `.min`: none.
    private var start = Int64.min
    private var current = Usage.zero
    private var earlier: [HourUsage] = []
    private var pending: [SlotUsage] = []
    /// Whether somebody takes what is used, by ``drain()``.
    public var isMetered = false

    private static let slotLength = WindowKind.grain * 1_000_000_000
    private static let hourLength: Int64 = 3600

    /// An account without usage.
    public init() {}

    /// A statement was sent; returns whether there was nothing to drain before.
    @inline(__always) @discardableResult
    public mutating func charge(_ amount: Int64, at time: Timestamp) -> Bool {
        let woke = turn(to: time)
        current.high &+= amount
        return woke
    }

    /// A statement that was charged at `time` is proven; returns whether there was nothing to drain before.
    @inline(__always) @discardableResult
    public mutating func settle(_ amount: Int64, at time: Timestamp) -> Bool {
        let woke = turn(to: time)
        current.low &+= amount
        return woke
    }

    /// A statement that was charged at `time` never ran; returns whether there was nothing to drain before.
    @inline(__always) @discardableResult
    public mutating func refund(_ amount: Int64, at time: Timestamp) -> Bool { charge(0 &- amount, at: time) }

    /// Usage hour by hour, in order, each hour once.
    public var hours: [HourUsage] {
        var copy = self
        copy.fold()
        return copy.earlier.sorted { $0.hour < $1.hour }
    }

    /// What was not drained, in no order; it stays.
    public var timeline: [SlotUsage] {
        var copy = self
        copy.fold()
        return copy.pending
    }

    /// What was used since the last time, where the account is metered.
    public mutating func drain() -> [SlotUsage] {
        fold()
        defer { pending = [] }
        return pending
    }

    /// Nothing of what was used is proven: it stays possible.
    public mutating func withdrawProof() {
        fold()
        for index in earlier.indices { earlier[index].low = min(0, earlier[index].low) }
        for index in pending.indices { pending[index].usage.low = min(0, pending[index].usage.low) }
    }

    /// Adds another account of the same principal, with what of it was not drained.
    public mutating func add(_ other: Account) {
        fold()
        var other = other
        other.fold()
        for hour in other.earlier { add(hour) }
        for slot in other.pending { add(slot) }
    }

    @inline(__always)
    private mutating func turn(to time: Timestamp) -> Bool {
        let into = UInt64(bitPattern: time.nanoseconds &- start)
        return into < UInt64(Self.slotLength) ? false : turnSlowly(to: time)
    }

    @inline(never)
    private mutating func turnSlowly(to time: Timestamp) -> Bool {
        let wasIdle = start == .min
        fold()
        // One that is so early that its slot would begin before all time stands for itself.
        let slot = WindowKind.floor(max(time.nanoseconds, .min + Self.slotLength * 2), Self.slotLength)
        start = slot
        return wasIdle
    }

    /// Puts away what the current slot holds.
    private mutating func fold() {
        guard start != .min else { return }
        let seconds = start / 1_000_000_000
        if current != .zero {
            let hour = WindowKind.floor(seconds, Self.hourLength) / Self.hourLength
            add(HourUsage(hour: hour, low: current.low, high: current.high))
            if isMetered { add(SlotUsage(start: seconds, usage: current)) }
        }
        (start, current) = (.min, .zero)
    }

    private mutating func add(_ usage: HourUsage) {
        if let place = earlier.lastIndex(where: { $0.hour == usage.hour }) {
            earlier[place].low &+= usage.low
            earlier[place].high &+= usage.high
        } else if earlier.count < Self.mostHours {
            earlier.append(usage)
        } else {
            // A clock that jumps about must not make the list grow without end: what is left over goes to the last.
            earlier[earlier.count - 1].low &+= usage.low
            earlier[earlier.count - 1].high &+= usage.high
        }
    }

    private mutating func add(_ slot: SlotUsage) {
        if let place = pending.lastIndex(where: { $0.start == slot.start }) {
            pending[place].usage += slot.usage
        } else {
            pending.append(slot)
        }
    }

    /// Ten years.
    private static let mostHours = 87_600
}
