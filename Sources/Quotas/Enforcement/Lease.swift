// SPDX-License-Identifier: Apache-2.0

/// How long limits hold that nobody renews: one rule for stores, files and backends.
public enum Lease {
    /// A lease of more seconds than this is a mistake, a clock that jumped or a forgery: it counts as over.
    public static let longest: Int64 = 3600

    /// Whether a lease that ends at `expires` is in force at `now`, both in seconds since the epoch.
    public static func holds(until expires: Int64, at now: Int64) -> Bool {
        let (left, isOver) = expires.subtractingReportingOverflow(now)
        return !isOver && left > 0 && left <= longest
    }
}
