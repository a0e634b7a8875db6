// SPDX-License-Identifier: Apache-2.0
public import Domain

/// How slowly one tenant's known patterns ran in one second of packet time.
public struct Pace: Sendable, BitwiseCopyable {
    /// Statements.
    public var count: Int64 = 0
    /// The sum of the logarithms to the base 2 of duration ÷ usual duration, in 1/256.
    public var sum: Int64 = 0

    /// Nothing ran.
    public init() {}

    /// A statement ran.
    @inline(__always)
    public mutating func add(_ logarithm: Int64) {
        count &+= 1
        sum &+= logarithm
    }

    /// Adds what another worker saw.
    public mutating func add(_ other: Pace) {
        count &+= other.count
        sum &+= other.sum
    }

    /// The logarithm to the base 2 in 1/256, linear between powers of two.
    @inline(__always)
    public static func logarithm(_ nanoseconds: Int64) -> Int64 {
        let value = UInt64(max(1, nanoseconds))
        let exponent = 63 &- value.leadingZeroBitCount
        let part = exponent >= 8 ? value &>> UInt64(exponent &- 8) : value &<< UInt64(8 &- exponent)
        return Int64(exponent) &* 256 &+ Int64(part & 255)
    }
}

/// Who ran how slowly, and which transactions may have made others wait: evidence about time, added up over workers.
public struct TimeEvidence: Sendable {
    /// A transaction, or a statement that wrote outside of one, long enough that somebody may have waited for it.
    public struct Holder: Sendable, Equatable {
        /// The connection, by a number of its own.
        public var session: UInt64
        /// The database.
        public var database: String
        /// When it began and ended, ns since the epoch.
        public var start: Int64, end: Int64
        /// From when on its locks may have been free: the server frees them before it answers the COMMIT.
        public var freed: Int64

        /// A holder; `freed`: its end unless told.
        public init(session: UInt64, database: String, start: Int64, end: Int64, freed: Int64? = nil) {
            (self.session, self.database, self.start, self.end) = (session, database, start, end)
            self.freed = freed ?? end
        }
    }

    private var paces: [Int64: [Fingerprint: Pace]] = [:]
    /// By database, in the order of their ends once ``sort()`` was called.
    private var holders: [String: [Holder]] = [:]
    private var unsorted: Set<String> = []
    private var count = 0
    /// What found no room: of so many statements less is known.
    public private(set) var lost: UInt64 = 0

    /// A COMMIT's answer comes no later than this after its locks were freed, ns.
    private static let lateAnswer: Int64 = 1_000_000_000
    /// A wait that is shorter than this is not looked for, ns.
    public static let shortestWait: Int64 = 100_000_000
    private static let most = 1 << 20
    /// Others than the tenant who must have run something in a second before it counts as slow.
    private static let leastTenants = 3

    /// Nothing is known.
    public init() {}

    /// Whether nothing is known.
    public var isEmpty: Bool { count == 0 }

    /// A tenant's statements of one second.
    public mutating func add(_ pace: Pace, of tenant: Fingerprint, second: Int64) {
        guard pace.count > 0 else { return }
        guard count < Self.most else {
            lost &+= UInt64(clamping: pace.count)
            return
        }
        count += 1
        paces[second, default: [:]][tenant, default: Pace()].add(pace)
    }

    /// A transaction ended.
    public mutating func add(_ holder: Holder) {
        guard count < Self.most else {
            lost &+= 1
            return
        }
        count += 1
        holders[holder.database, default: []].append(holder)
        unsorted.insert(holder.database)
    }

    /// Adds what another worker saw.
    public mutating func add(_ other: TimeEvidence) {
        for (second, tenants) in other.paces { for (tenant, pace) in tenants { add(pace, of: tenant, second: second) } }
        for list in other.holders.values { for holder in list { add(holder) } }
        lost &+= other.lost
    }

    /// To be called before ``mayHaveWaited(session:database:from:to:)``, when all is added.
    public mutating func sort() {
        for database in unsorted { holders[database]?.sort { $0.end < $1.end } }
        unsorted = []
    }

    /// Forgets what ended before a time, ns since the epoch.
    public mutating func forget(before time: Int64) {
        paces = paces.filter { $0.key >= time / 1_000_000_000 }
        for (database, list) in holders {
            let left = list.filter { $0.end >= time }
            holders[database] = left.isEmpty ? nil : left
        }
        count = paces.values.reduce(0) { $0 + $1.count } + holders.values.reduce(0) { $0 + $1.count }
    }

    /// By how much others than `tenant` were slowed down between two times: the mean over its seconds of their median.
    ///
    /// A second counts in which at least three others ran something that is known.
    public func load(on tenant: Fingerprint, from start: Int64, to end: Int64) -> Load {
        let (first, last) = (start / 1_000_000_000, end / 1_000_000_000)
        guard !paces.isEmpty, first <= last else { return .none }
        var (sum, seconds) = (Int64(0), Int64(0))
        // What took longer than there are seconds with evidence is judged by these.
        let known =
            last - first < Int64(paces.count) ? Array(first...last) : paces.keys.filter { first <= $0 && $0 <= last }
        for second in known {
            guard let tenants = paces[second] else { continue }
            let others = tenants.lazy.filter { $0.key != tenant }.map { $0.value.sum / $0.value.count }.sorted()
            guard others.count >= Self.leastTenants else { continue }
            // Of two in the middle the one that was slowed down less.
            sum += max(0, others[(others.count - 1) / 2])
            seconds += 1
        }
        return seconds == 0 ? .none : Load(logarithm: sum / seconds)
    }

    /// Whether a statement may have waited for a lock of another connection: a transaction in its database that had begun
    /// before it ended shortly before it did, or was about to: a COMMIT may be answered later than those that waited for it.
    public func mayHaveWaited(session: UInt64, database: String, from start: Int64, to end: Int64) -> Bool {
        let duration = end - start
        guard duration >= Self.shortestWait, let list = holders[database] else { return false }
        let slack = max(25_000_000, duration / 10)
        // There may be as many as there are statements: the first that ended late enough is found by halves.
        var (low, high) = (0, list.count)
        while low < high {
            let middle = low + (high - low) / 2
            if list[middle].end < end - slack { low = middle + 1 } else { high = middle }
        }
        let near = list[low...].prefix { $0.end <= end &+ Self.lateAnswer }
        return near.contains { $0.session != session && $0.start < start && $0.freed <= end }
    }
}
