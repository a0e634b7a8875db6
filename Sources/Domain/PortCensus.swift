// SPDX-License-Identifier: Apache-2.0

/// Which server ports something went to that was not read: what to name with `--port`.
///
/// The eight busiest, about: a port that comes later takes the place and the count of the least busy one (Metwally,
/// Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005).
public struct PortCensus: Sendable, BitwiseCopyable {
    /// One port.
    public struct Entry: Sendable, BitwiseCopyable, Equatable {
        /// The server's port.
        public var port: UInt16 = 0
        /// A start-up packet of PostgreSQL went there; a TLS handshake did.
        public var isPostgreSQL = false, isTLS = false
        /// Packets or connections, about.
        public var count: UInt64 = 0

        /// Nothing.
        public init() {}
    }

    private var entries: [8 of Entry] = .init(repeating: Entry())

    /// Nothing yet.
    public init() {}

    /// Something went to `port`.
    public mutating func note(_ port: UInt16, count: UInt64 = 1, isPostgreSQL: Bool = false, isTLS: Bool = false) {
        var place = 0
        for index in entries.indices {
            if entries[index].port == port, entries[index].count > 0 {
                place = index
                break
            }
            if entries[index].count < entries[place].count { place = index }
        }
        if entries[place].port != port {
            (entries[place].isPostgreSQL, entries[place].isTLS) = (false, false)
            entries[place].port = port
        }
        entries[place].count &+= count
        if isPostgreSQL { entries[place].isPostgreSQL = true }
        if isTLS { entries[place].isTLS = true }
    }

    /// Adds another census.
    public mutating func add(_ other: PortCensus) {
        for entry in other.ranked {
            note(entry.port, count: entry.count, isPostgreSQL: entry.isPostgreSQL, isTLS: entry.isTLS)
        }
    }

    /// The ports, those that a PostgreSQL client spoke to first, then the busiest first.
    public var ranked: [Entry] {
        entries.indices.map { entries[$0] }.filter { $0.count > 0 }.sorted { left, right in
            if left.isPostgreSQL != right.isPostgreSQL { return left.isPostgreSQL }
            return left.count == right.count ? left.port < right.port : left.count > right.count
        }
    }
}
