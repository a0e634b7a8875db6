// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Platform

/// Compares what a server counts with what a tap sees, span after span; for one thread.
public final class Verifier {
    private let statistics: StatementStatistics
    private let look: () throws -> SeenSnapshot
    private var last: Reading?
    private var lastTime = 0.0
    private var sightings = Sightings()
    private var lastRows: [ServerSession] = []
    /// What is a difference that is none, as a share.
    public var tolerance = 0.01
    /// How long the last question took, in seconds.
    public private(set) var effort = 0.0

    /// The kernel hands a packet on after 20 ms and a worker looks every 50 ms, at once when it is asked; seconds.
    private static let delay = 0.1

    /// A verifier; `look` asks the daemon.
    public init(_ statistics: StatementStatistics, look: @escaping () throws -> SeenSnapshot) {
        (self.statistics, self.look) = (statistics, look)
    }

    /// Begins a span.
    public func begin() throws { try read { last = $0 } }

    /// Looks who is connected, in the middle of a span.
    public func watch() throws {
        let began = Self.now()
        let before = try look()
        lastRows = try statistics.sessions()
        sightings.add(lastRows, before: before, after: try look(), port: statistics.facts.port)
        effort = Self.now() - began
    }

    /// Ends a span, and begins the next one; `nil` if none was begun.
    public func finish() throws -> Comparison? {
        let (start, began) = (last, lastTime)
        var comparison: Comparison?
        try read { end in
            last = end
            guard let start else { return }
            comparison = compare(start, end, seconds: lastTime - began)
        }
        return comparison
    }

    private func read(_ take: (Reading) -> Void) throws {
        let began = Self.now()
        try watch()
        let before = try look()
        let server = try statistics.snapshot()
        SystemClock.sleep(seconds: Self.delay)
        var reading = Reading(before: before, server: server, after: try look())
        for row in lastRows where row.isBusy && !row.isOwn {
            if let account = row.account { reading.busy[account, default: 0] += 1 }
        }
        lastTime = Self.now()
        take(reading)
        sightings.clear()
        sightings.add(lastRows, before: before, after: reading.after, port: statistics.facts.port)
        effort = Self.now() - began
    }

    private func compare(_ start: Reading, _ end: Reading, seconds: Double) -> Comparison {
        Comparing(
            start: start,
            end: end,
            facts: statistics.facts,
            classes: statistics.classes,
            sightings: sightings,
            tolerance: tolerance
        ).comparison(seconds: seconds)
    }

    static func now() -> Double {
        SystemClock.now()
    }
}
