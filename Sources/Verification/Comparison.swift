// SPDX-License-Identifier: Apache-2.0

/// What a server counted in a span, against what a tap saw in it.
public struct Comparison: Sendable, Encodable {
    /// One kind of statements of one user in one database.
    public struct Part: Sendable, Encodable {
        /// Statements that clients sent, as the server counted them.
        public var counted: UInt64 = 0
        /// What the tap saw: it was asked before and after the server at both ends of the span, so this is an interval.
        public var seenLow: UInt64 = 0, seenHigh: UInt64 = 0
        /// The number in it that is nearest to the server's.
        public var seen: UInt64 { min(max(counted, seenLow), max(seenLow, seenHigh)) }
        /// Seen per counted; `nil`: the server counted none.
        public var share: Double? { counted > 0 ? Double(seen) / Double(counted) : nil }

        var missing: UInt64 { counted - min(counted, seen) }
        var surplus: UInt64 { seen - min(counted, seen) }

        private enum CodingKeys: String, CodingKey {
            case counted
            case seenLow = "seen_low"
            case seenHigh = "seen_high"
            case seen, share
        }

        /// With what is computed.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(counted, forKey: .counted)
            try container.encode(seen, forKey: .seen)
            try container.encode(seenLow, forKey: .seenLow)
            try container.encode(seenHigh, forKey: .seenHigh)
            try container.encode(share, forKey: .share)
        }

        mutating func add(_ other: Part) {
            counted &+= other.counted
            seenLow &+= other.seenLow
            seenHigh &+= other.seenHigh
        }
    }

    /// One user in one database.
    public struct Line: Sendable, Encodable {
        public var user: String, database: String
        /// Planned queries, and utility statements; the latter are 0 where the server does not count them.
        public var queries = Part(), utilities = Part()
        /// Statements that the server counted and no client sent; they are in neither part.
        public var notSent: UInt64 = 0
        /// Why the two differ.
        public var reasons: [Reason] = []
        /// Whether they agree, or what they differ by is accounted for.
        public var isExplained = true

        private enum CodingKeys: String, CodingKey {
            case user, database, queries, utilities
            case notSent = "not_sent"
            case reasons
            case isExplained = "explained"
        }
    }

    /// How long the span was, in seconds.
    public var seconds = 0.0
    /// The server's version as a number, such as 150004, and what it counts: `top` or `all`; utility statements, too.
    public var serverVersion = 0, track = "top", countsUtilities = true
    /// Those that did something, by user and database.
    public var lines: [Line] = []

    private enum CodingKeys: String, CodingKey {
        case seconds
        case serverVersion = "server_version"
        case track
        case countsUtilities = "track_utility"
        case lines = "users"
        case total
        case
            isExplained = "explained"
    }

    /// All lines and both parts.
    public var total: Part {
        var sum = Part()
        for line in lines {
            for part in [line.queries, line.utilities] {
                // As the lines say: what one user is seen too often does not make up for what another is not.
                sum.add(Part(counted: part.counted, seenLow: part.seen, seenHigh: part.seen))
            }
        }
        return sum
    }

    /// The share of what the server counted that was seen; `nil`: it counted none.
    ///
    /// What was seen of one user and not counted does not make up for what was not seen of another.
    public var seenRatio: Double? {
        var (counted, seen) = (0.0, 0.0)
        for line in lines {
            for part in [line.queries, line.utilities] {
                counted += Double(part.counted)
                seen += Double(min(part.seen, part.counted))
            }
        }
        return counted > 0 ? seen / counted : nil
    }

    /// Whether all of them agree, or what they differ by is accounted for.
    public var isExplained: Bool { lines.allSatisfy(\.isExplained) }

    /// All reasons, each kind once, with the sum of its counts; without those of statements that no client sent.
    public var reasons: [Reason.Kind: UInt64] {
        var found: [Reason.Kind: UInt64] = [:]
        for reason in lines.flatMap(\.reasons) where reason.kind != .nested && reason.kind != .foreignKey {
            let known = found[reason.kind] ?? 0
            // Sessions are each one user's; a loss stands with everybody whom it may have hit.
            found[reason.kind] = reason.kind.isOfOneUser ? known &+ reason.count : max(known, reason.count)
        }
        return found
    }

    /// With what is computed.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(serverVersion, forKey: .serverVersion)
        try container.encode(track, forKey: .track)
        try container.encode(countsUtilities, forKey: .countsUtilities)
        try container.encode(total, forKey: .total)
        try container.encode(isExplained, forKey: .isExplained)
        try container.encode(lines, forKey: .lines)
    }
}
