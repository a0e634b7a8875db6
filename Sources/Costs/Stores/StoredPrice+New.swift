// SPDX-License-Identifier: Apache-2.0
public import Domain

extension StoredPrice {
    /// A price for a statement that ran under its login's search_path: the default, until there is a better one.
    public init(
        sketch: StatementSketch,
        pattern: [UInt8],
        cluster: String,
        database: String,
        hash: KeyedHash,
        at time: Timestamp
    ) {
        var key = PriceKey(
            cluster: hash.hash(Array(cluster.utf8).rawSpan),
            database: hash.hash(Array(database.utf8).rawSpan),
            pattern: sketch.fingerprint
        )
        (key.limit, key.offset) = (sketch.limit, sketch.offset)
        self.init(
            key: key.digest(hash),
            fingerprint: sketch.fingerprint,
            pattern: String(decoding: pattern, as: UTF8.self),
            database: database,
            method: .failed,
            cost: .fallback,
            priced: time
        )
        (limit, offset) = (sketch.limit, sketch.offset)
    }
}
