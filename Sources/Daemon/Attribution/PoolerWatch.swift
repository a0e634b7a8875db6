// SPDX-License-Identifier: Apache-2.0
import Attribution
import Domain
import Pipeline
import Platform

/// Notices that both sides of a pooler are seen, and has the connections to its servers passed over where it is proven that
/// nothing is lost by that; else it says why not, once.
struct PoolerWatch {
    private struct Pooler {
        var directory: SessionDirectory
        /// What was found last.
        var sides: PoolerSides?
        var isPassedOver = false, isToldOf = false
    }

    private var poolers: [Pooler]
    private var places: [Endpoint] = []
    private let began = SystemClock.time()
    private var next = SystemClock.now() + 2
    /// Until the next look where something is open, and otherwise; in seconds.
    private static let soon = 5.0, interval = 60.0
    /// A look that took so long is repeated after so many times as long.
    private static let rest = 200.0

    /// A watch over those of these that are poolers; `nil` if none is.
    init?(_ directories: [SessionDirectory]) {
        poolers = directories.filter { $0.kind == .pooler }.map { Pooler(directory: $0) }
        if poolers.isEmpty { return nil }
    }

    /// Asks the poolers now and then; one that cannot be asked is no matter here.
    mutating func look(at pool: WorkerPool) {
        let start = SystemClock.now()
        guard start >= next else { return }
        var isOpen = false
        // Two sides are two servers, at least.
        if let seen = pool.seenConnections(), Set(seen.map(\.server)).count > 1 {
            let own = OwnConnections.ends
            for index in poolers.indices {
                let directory = poolers[index].directory
                let found = try? directory.sides(before: seen, own: own, since: began) { pool.seenConnections() }
                if let sides = found ?? nil, judge(index, sides, pool) { isOpen = true }
            }
        }
        let end = SystemClock.now()
        next = end + max(isOpen ? Self.soon : Self.interval, (end - start) * Self.rest)
    }

    /// Acts on what was found; returns whether it is to be looked at again soon.
    private mutating func judge(_ index: Int, _ sides: PoolerSides, _ pool: WorkerPool) -> Bool {
        defer { poolers[index].sides = sides }
        guard let place = sides.place else { return false }
        if sides.isWhole {
            poolers[index].isToldOf = false
            guard !poolers[index].isPassedOver else { return false }
            poolers[index].isPassedOver = true
            places.append(place)
            pool.ignoreServerSide(of: PoolerAddresses(places))
            Log.info(
                "attribution.passed_over",
                "\(Self.text(sides)): those to its servers are passed over from now on."
            )
            return false
        }
        // A connection that came or went in between may be all there is to it.
        guard let last = poolers[index].sides, last.place != nil, !last.isWhole else { return true }
        guard !poolers[index].isToldOf else { return false }
        poolers[index].isToldOf = true
        if poolers[index].isPassedOver {
            Log.warning(
                "attribution.sides_changed",
                "\(Self.text(sides)), and the latter passed over, but \(Self.doubt(sides))."
            )
        } else {
            Log.warning("attribution.both_sides", "\(Self.text(sides)): \(Self.bill(sides)). \(Self.remedy(place))")
        }
        return false
    }

    static func text(_ sides: PoolerSides) -> String {
        "both sides of a PgBouncer are seen (connections: \(sides.clients) of its clients, \(sides.servers) to its servers)"
    }

    static func bill(_ sides: PoolerSides) -> String {
        "each statement is billed twice, as neither side can be passed over: \(doubt(sides))"
    }

    /// What would be lost.
    private static func doubt(_ sides: PoolerSides) -> String {
        var reasons: [String] = []
        if sides.unseen > 0 {
            reasons.append(
                "\(sides.unseen) of its clients are not seen or cannot be read (a Unix socket, TLS, another interface)"
            )
        }
        if sides.others > 0 { reasons.append("\(sides.others) other connections come from its address") }
        return reasons.joined(separator: ", ")
    }

    static func remedy(_ place: Endpoint) -> String {
        "Name it with --pooler-at \(place) to bill its clients alone, or tap one side only."
    }
}
