// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Where one user stands on the ladder: up at once, down slowly, so that a utilization near a threshold does not flap.
///
/// Down goes who stayed 5 % below the rung's threshold for two batches, 30 s after the rung was reached; a quota that was
/// reset, by a new calendar window or by hand, lets go at once.
public struct Ladder: Sendable, Hashable {
    /// The rung.
    public private(set) var rung = Verdict.ok
    /// Since when.
    public private(set) var since: Timestamp
    /// Batches in a row that were calm enough for a lower rung.
    private var calm = 0

    /// How far below its threshold a rung is left, as a share of the budget.
    public static let margin = 0.05
    /// How long a rung holds at least, ns.
    public static let hold: Int64 = 30_000_000_000
    /// Batches that must be calm in a row.
    public static let calmBatches = 2

    /// The lowest rung.
    public init(since: Timestamp = .epoch) { self.since = since }

    /// A rung that was reached earlier, as the one who decided before left it.
    public init(rung: Verdict, since: Timestamp) { (self.rung, self.since) = (rung, since) }

    /// Takes a utilization; returns whether the rung changed.
    ///
    /// - Parameters:
    ///   - utilization: the proven share of the budget, 1 for the whole.
    ///   - now: the time; one earlier than before holds the rung.
    ///   - isBatch: whether this is one of the regular looks, which alone count as calm.
    ///   - didReset: whether the window that held the user ended, or was reset by hand.
    public mutating func step(_ utilization: Double, at now: Timestamp, isBatch: Bool, didReset: Bool) -> Bool {
        let target = Verdict(utilization: utilization)
        if target > rung { return move(to: target, at: now) }
        guard target < rung else {
            calm = 0
            return false
        }
        if didReset { return move(to: target, at: now) }
        guard utilization < rung.threshold - Self.margin else {
            calm = 0
            return false
        }
        if isBatch { calm += 1 }
        guard calm >= Self.calmBatches, now.nanoseconds(since: since) >= Self.hold else { return false }
        // The next rung has a margin of its own.
        return move(to: Verdict(utilization: utilization + Self.margin), at: now)
    }

    private mutating func move(to rung: Verdict, at now: Timestamp) -> Bool {
        let isNew = rung != self.rung
        if isNew { (self.rung, since) = (rung, now) }
        calm = 0
        return isNew
    }
}
