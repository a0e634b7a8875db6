// SPDX-License-Identifier: Apache-2.0

/// What one node knows of everybody's usage: its own totals, which it alone writes, and the sums of the other nodes'.
///
/// Usage is added at once and stands, whether a store answers or not. What was added is dirty until a store has taken the
/// total; a total is written only after the node knows what it had written before, so that a restart goes on from there.
public struct NodeLedger: Sendable {
    struct Entry: Sendable {
        var key: RegisterKey
        /// Own usage: since the start, and once `isKnown`, all of it.
        var own = Usage.zero
        var others = Usage.zero
        /// What of it the store had when it was read or written last.
        var stored = Usage.zero
        /// Whether the own total of earlier runs is part of `own`.
        var isKnown = false
        var isDirty = false
        /// When it was read last, in seconds since the epoch.
        var read: Int64 = 0
    }

    struct Holder: Sendable {
        let user: UserKey
        var entries: [Entry] = []
        var isQueued = false
    }

    /// Usage that came too late to be counted: its window is forgotten.
    public private(set) var late: UInt64 = 0
    private var places: [UserKey: Int] = [:]
    private var holders: [Holder] = []
    private var free: [Int] = []
    /// Holders with something dirty, oldest first.
    private var queue: [Int] = []
    private var isSorted = false

    /// An empty ledger.
    public init() {}

    /// Users with a register.
    public var userCount: Int { places.count }
    /// Users whose totals are not all stored.
    public var dirtyCount: Int { queue.count }

    /// Adds usage of a user to all `windows`.
    ///
    /// - Parameter now: seconds since the epoch, by which is judged what comes too late.
    public mutating func add(
        _ slots: [SlotUsage],
        of user: UserKey,
        to windows: [WindowKind],
        _ zone: ZoneTable,
        now: Int64
    ) {
        let holder = place(of: user)
        for slot in slots {
            var isLate = !windows.isEmpty
            for window in windows {
                let key = RegisterKey(user, window, at: slot.start, zone)
                guard key.forgotten > now else { continue }
                isLate = false
                let entry = entry(of: key, in: holder)
                holders[holder].entries[entry].own += slot.usage
                holders[holder].entries[entry].isDirty = true
            }
            if isLate { late &+= 1 }
        }
        enqueue(holder)
    }

    /// Makes sure that a user's current registers are here, to be read if they are not.
    public mutating func watch(_ user: UserKey, _ windows: [WindowKind], _ zone: ZoneTable, now: Int64) {
        let holder = place(of: user)
        for window in windows {
            for start in window.spans(at: now, zone) {
                _ = entry(of: RegisterKey(user, window, at: start, zone), in: holder)
            }
        }
    }

    // MARK: Exchange with a store

    /// The next registers to be read before they can be written, and totals to be written.
    ///
    /// Where there are many, they come by user: a file that keeps them so is written from front to back.
    public mutating func takeDirty(most count: Int) -> (reads: [RegisterKey], writes: [RegisterWrite]) {
        if queue.count > count, !isSorted {
            queue.sort { holders[$0].user < holders[$1].user }
            isSorted = true
        }
        var (reads, writes): ([RegisterKey], [RegisterWrite]) = ([], [])
        var taken = 0
        while taken < queue.count, reads.count + writes.count < count {
            let place = queue[taken]
            taken += 1
            holders[place].isQueued = false
            for entry in holders[place].entries where entry.isDirty {
                if entry.isKnown { writes.append(RegisterWrite(entry.key, entry.own)) } else { reads.append(entry.key) }
            }
        }
        queue.removeFirst(taken)
        if queue.isEmpty { isSorted = false }
        return (reads, writes)
    }

    /// Registers of a user that were not read since `seconds`, and can still change.
    public func stale(
        _ user: UserKey,
        _ windows: [WindowKind],
        _ zone: ZoneTable,
        now: Int64,
        since seconds: Int64
    ) -> [RegisterKey] {
        guard let place = places[user] else { return [] }
        return holders[place].entries.filter { entry in
            guard entry.read < seconds, windows.contains(entry.key.window) else { return false }
            // What ended a while before it was read has its final value.
            return entry.key.end + Self.settling >= entry.read
        }.map(\.key)
    }

    /// How long after its end other nodes may still write to a register, in seconds.
    private static let settling: Int64 = 15

    /// A register was read: from now on its total is the whole one.
    public mutating func learn(_ key: RegisterKey, _ reading: RegisterReading, now: Int64) {
        let holder = place(of: key.user)
        let entry = entry(of: key, in: holder)
        if !holders[holder].entries[entry].isKnown {
            holders[holder].entries[entry].isKnown = true
            holders[holder].entries[entry].own += reading.own ?? .zero
            holders[holder].entries[entry].stored = reading.own ?? .zero
        }
        holders[holder].entries[entry].others = reading.others
        holders[holder].entries[entry].read = now
        enqueue(holder)
    }

    /// A total was stored.
    public mutating func confirm(_ write: RegisterWrite, _ reading: RegisterReading, now: Int64) {
        guard let holder = places[write.key.user],
            let entry = holders[holder].entries.firstIndex(where: { $0.key == write.key })
        else { return }
        holders[holder].entries[entry].others = reading.others
        holders[holder].entries[entry].stored = write.total
        holders[holder].entries[entry].read = now
        if holders[holder].entries[entry].own == write.total {
            holders[holder].entries[entry].isDirty = false
        }
        enqueue(holder)
    }

    /// What was taken by ``takeDirty(most:)`` came back undone.
    public mutating func giveBack(_ keys: [RegisterKey]) {
        for key in keys { if let holder = places[key.user] { enqueue(holder) } }
    }

    /// Somebody else may have written under this node's name: all totals are read again before they are written.
    public mutating func doubtAll() {
        for (_, holder) in places {
            for entry in holders[holder].entries.indices where holders[holder].entries[entry].isKnown {
                // What is left is what only we know of.
                holders[holder].entries[entry].own =
                    holders[holder].entries[entry].own - holders[holder].entries[entry].stored
                holders[holder].entries[entry].stored = .zero
                holders[holder].entries[entry].isKnown = false
                holders[holder].entries[entry].isDirty = true
            }
            enqueue(holder)
        }
    }

    /// The store lost what it had: all own totals are to be written again.
    public mutating func rewriteAll() {
        for (_, holder) in places {
            for entry in holders[holder].entries.indices where holders[holder].entries[entry].own != .zero {
                holders[holder].entries[entry].isDirty = true
            }
            enqueue(holder)
        }
    }

    /// Forgets registers whose window ended so long ago that nobody needs them.
    public mutating func forget(before now: Int64) {
        for (user, holder) in places {
            holders[holder].entries.removeAll { $0.key.forgotten <= now }
            guard holders[holder].entries.isEmpty, !holders[holder].isQueued else { continue }
            places[user] = nil
            free.append(holder)
        }
    }

    // MARK: Looking

    /// Whether anything is known of a user.
    public func knows(_ user: UserKey) -> Bool { places[user] != nil }

    /// What a user used of a calendar window that begins at `start`.
    func usage(of user: UserKey, _ window: WindowKind, from start: Int64) -> Usage {
        guard let place = places[user] else { return .zero }
        // By index: an entry is costly to move.
        for index in holders[place].entries.indices
        where holders[place].entries[index].key.start == start && holders[place].entries[index].key.window == window {
            return holders[place].entries[index].own + holders[place].entries[index].others
        }
        return .zero
    }

    /// What a user used of a window at `now`; spans that are partly outside count as possible only.
    public func usage(of user: UserKey, _ window: WindowKind, _ zone: ZoneTable, now: Int64) -> Usage {
        guard let part = window.part else { return usage(of: user, window, from: window.span(at: now, zone).start) }
        guard let place = places[user] else { return .zero }
        let oldest = now - window.horizon + 1
        var sum = Usage.zero
        for entry in holders[place].entries where entry.key.window == window {
            guard entry.key.start + part > oldest, entry.key.start <= now else { continue }
            let used = entry.own + entry.others
            sum += Usage(low: entry.key.start < oldest ? 0 : used.low, high: used.high)
        }
        return sum
    }

    /// What a user used of a window part by part, the oldest first; for ``WindowKind/burst(seconds:)``.
    public func parts(of user: UserKey, _ window: WindowKind, _ zone: ZoneTable, now: Int64) -> [Usage] {
        guard let place = places[user] else { return [] }
        var found: [Int64: Usage] = [:]
        for entry in holders[place].entries where entry.key.window == window {
            found[entry.key.start] = entry.own + entry.others
        }
        return window.spans(at: now, zone).map { found[$0] ?? .zero }
    }

    // MARK: Places

    private mutating func place(of user: UserKey) -> Int {
        if let known = places[user] { return known }
        let place: Int
        if let old = free.popLast() {
            place = old
            holders[place] = Holder(user: user)
        } else {
            place = holders.count
            holders.append(Holder(user: user))
        }
        places[user] = place
        return place
    }

    private mutating func entry(of key: RegisterKey, in holder: Int) -> Int {
        // The newest are at the end, and wanted most.
        if let known = holders[holder].entries.lastIndex(where: { $0.key == key }) { return known }
        holders[holder].entries.append(Entry(key: key))
        return holders[holder].entries.count - 1
    }

    private mutating func enqueue(_ holder: Int) {
        guard !holders[holder].isQueued, holders[holder].entries.contains(where: \.isDirty) else { return }
        holders[holder].isQueued = true
        queue.append(holder)
    }
}
