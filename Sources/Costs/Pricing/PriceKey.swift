// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a price belongs to: the same text has another plan in another database, search_path, or with another LIMIT, and
/// under row-level security for another role.
public struct PriceKey: Sendable, Hashable {
    /// The cluster's name, as the configuration has it.
    public var cluster: Fingerprint
    /// The database.
    public var database: Fingerprint
    /// The effective search_path; that of the login: ``Fingerprint/unknown``.
    public var path = Fingerprint.unknown
    /// The role, where prices are asked as the tenant, or ``Fingerprint/unknown``.
    public var role = Fingerprint.unknown
    /// The statement's pattern.
    public var pattern: Fingerprint
    /// The sizes of LIMIT and OFFSET.
    public var limit = Decade.absent, offset = Decade.absent

    /// A key; parts that are left out are those of a plain login.
    public init(cluster: Fingerprint, database: Fingerprint, pattern: Fingerprint) {
        (self.cluster, self.database, self.pattern) = (cluster, database, pattern)
    }

    /// The key as one number, which stores and caches use: keyed by `hash`, so it tells nothing about names.
    public func digest(_ hash: KeyedHash) -> Fingerprint {
        let sizes = UInt64(limit.rawValue) << 8 | UInt64(offset.rawValue)
        var high = pattern.high
        var low = pattern.low
        for part in [cluster, database, path, role] {
            high = hash.hash(high ^ part.low, part.high ^ sizes)
            low = hash.hash(low ^ part.high, part.low &+ sizes)
        }
        return Fingerprint(high: high, low: low)
    }
}
