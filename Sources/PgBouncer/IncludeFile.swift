// SPDX-License-Identifier: Apache-2.0
public import Domain
import Quotas

/// The file of limits that the operator's configuration includes as its last line.
///
/// It suffices to undo itself: above each limit stands the line that releases the user, so that a guard that knows
/// nothing else can lift all of them. It never holds `[pgbouncer]`, which would reset every global setting.
public struct IncludeFile: Sendable, Hashable {
    /// What is written for one user.
    public struct Entry: Sendable, Hashable {
        /// The line that limits the user; `nil`: released.
        public var limit: UserSettings?
        /// The line that releases the user: the operator's own, or one that leaves the limit to the default.
        public var release: UserSettings

        /// An entry.
        public init(limit: UserSettings?, release: UserSettings) { (self.limit, self.release) = (limit, release) }
    }

    /// The number of the wants that it carries out.
    public var generation: UInt64
    /// When the limits end unless they are renewed, in seconds since 1970.
    public var expires: Int64
    /// One for each user who was limited, released ones too: leaving a line out would not lift the limit.
    public var entries: [String: Entry]
    /// What SHOW DATABASES names once the whole file was read; other for every load.
    public var acknowledgement: String

    /// A file.
    public init(
        generation: UInt64 = 0,
        expires: Int64 = 0,
        entries: [String: Entry] = [:],
        acknowledgement: String = "gen_0_0"
    ) {
        (self.generation, self.expires) = (generation, expires)
        (self.entries, self.acknowledgement) = (entries, acknowledgement)
    }

    /// The name of the database that is none: its `dbname` tells which file was read to the end.
    static let acknowledgedBy = "quota_ack"

    /// Those who are limited, sorted.
    public var limited: [String] { entries.filter { $0.value.limit != nil }.keys.sorted { $0.precedes($1) } }

    /// Whether the limits still hold.
    public func isFresh(_ now: Timestamp) -> Bool {
        Lease.holds(until: expires, at: now.nanoseconds / 1_000_000_000)
    }

    /// The same with everybody released.
    public func released() -> Self {
        var copy = self
        copy.entries = entries.mapValues { Entry(limit: nil, release: $0.release) }
        return copy
    }

    /// The bytes: the same for the same content.
    public func render() -> [UInt8] {
        var text = """
            ; lease gen=\(generation) expires=\(expires) by=pgweir
            ; pgweir writes this file as a whole: changes by hand get lost. Without a renewed lease all limits are lifted.
            [users]

            """
        for (user, entry) in entries.sorted(by: { $0.key.precedes($1.key) }) {
            let name = UserName.written(user)
            if let limit = entry.limit {
                text += "; release \(name) = \(entry.release.text)\n\(name) = \(limit.text)\n"
            } else {
                text += "; released\n\(name) = \(entry.release.text)\n"
            }
        }
        text += "[databases]\n\(Self.trailer(acknowledgement))\n"
        return Array(text.utf8)
    }

    static func trailer(_ acknowledgement: String) -> String {
        "\(acknowledgedBy) = host=127.0.0.1 port=1 dbname=\(acknowledgement) pool_size=1"
    }
}
