// SPDX-License-Identifier: Apache-2.0

/// The limits that were decided, as they are told to whoever sets them: without names, and only for a time.
public struct PublishedLimits: Sendable, Hashable {
    /// The limit of one user.
    public struct Entry: Sendable, Hashable {
        /// The user.
        public var user: UserKey
        /// Connections that are left; `nil`: none are taken away, the rung is only kept in mind.
        public var connections: Int?
        /// The rung that was reached.
        public var rung: Verdict
        /// Since when, in seconds since the epoch.
        public var since: Int64
        /// The share of the budget when that was decided, in millionths.
        public var utilization: Int64

        /// A limit.
        public init(_ user: UserKey, connections: Int?, rung: Verdict, since: Int64, utilization: Double) {
            (self.user, self.connections, self.rung, self.since) = (user, connections, rung, since)
            self.utilization = Int64(min(max(utilization, 0), 9e9) * 1_000_000)
        }
    }

    /// Grows with every publication; the fencing token of the one who decided is its upper half.
    public var generation: UInt64
    /// When they end unless they are published anew, in seconds since the epoch.
    public var expires: Int64
    /// One a user.
    public var entries: [Entry]

    /// Limits.
    public init(generation: UInt64, expires: Int64, entries: [Entry]) {
        (self.generation, self.expires, self.entries) = (generation, expires, entries)
    }

    /// As stores keep them: a line for all, and one a user.
    public var text: String {
        var lines = ["pgweir-limits 1 \(generation) \(expires) \(entries.count)"]
        for entry in entries.sorted(by: { $0.user < $1.user }) {
            let limit = entry.connections.map(String.init) ?? "-"
            lines.append("\(entry.user) \(limit) \(entry.rung.rawValue) \(entry.since) \(entry.utilization)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What stores keep them as.
    public static let name = "limits"

    /// Whether a text that a store has forbids to publish these limits for `seconds`: newer ones, which still hold.
    ///
    /// Those that are over, or would hold for longer than any, stand in nobody's way: somebody else may write to the store.
    public func isOutdated(by text: String, seconds: Int64) -> Bool {
        let head = text.prefix { $0 != "\n" }.split(separator: " ")
        guard head.count == 5, head[0] == "pgweir-limits", head[1] == "1", let standing = UInt64(head[2]),
            let expires = Int64(head[3])
        else { return false }
        return standing > generation && Lease.holds(until: expires, at: self.expires &- seconds)
    }

    /// Whether they hold at this time, in seconds since the epoch.
    public func hold(at now: Int64) -> Bool { Lease.holds(until: expires, at: now) }

    /// Reads ``text``; `nil` for any other text, and for one that was cut.
    public init?(text: String) {
        let lines = text.split(separator: "\n")
        let head = lines.first?.split(separator: " ") ?? []
        guard head.count == 5, head[0] == "pgweir-limits", head[1] == "1", let generation = UInt64(head[2]),
            let expires = Int64(head[3]), let count = Int(head[4]), lines.count - 1 == count, text.last == "\n"
        else { return nil }
        var entries: [Entry] = []
        for line in lines.dropFirst() {
            let fields = line.split(separator: " ")
            guard fields.count == 5, let user = UserKey(fields[0]), let rung = Verdict(rawValue: String(fields[2])),
                let since = Int64(fields[3]), let share = Int64(fields[4])
            else { return nil }
            let connections = fields[1] == "-" ? nil : Int(fields[1])
            guard fields[1] == "-" || (connections ?? 0) > 0 else { return nil }
            var entry = Entry(user, connections: connections, rung: rung, since: since, utilization: 0)
            entry.utilization = share
            entries.append(entry)
        }
        self.init(generation: generation, expires: expires, entries: entries)
    }
}
