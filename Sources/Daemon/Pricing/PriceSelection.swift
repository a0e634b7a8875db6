// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
import Fingerprints

/// Which stored prices a command is about.
public struct PriceSelection: Sendable {
    /// Patterns of this database, that use this table, whose prices came about this way.
    public var database: String?, table: String?, method: PriceMethod?

    /// Those that fit all that is not `nil`.
    public init(database: String?, table: String?, method: PriceMethod?) {
        (self.database, self.table, self.method) = (database, table, method)
    }

    /// Whether it leaves nothing out.
    public var isEmpty: Bool { database == nil && table == nil && method == nil }

    func includes(_ price: StoredPrice) -> Bool {
        if let database, price.database != database { return false }
        if let method, price.method != method { return false }
        guard let table else { return true }
        return price.tables.contains { $0 == table || $0.hasSuffix("." + table) }
    }

    /// The prices of the store that are meant, and that `name` means: a fingerprint, the first digits of one or of a key,
    /// or a statement.
    public func find(_ name: String?, in store: any CostStore, hash: KeyedHash) throws -> [StoredPrice] {
        let wanted = name.map { Self.test($0, hash) }
        var found: [StoredPrice] = []
        try store.scan { price in
            if includes(price), wanted?(price) ?? true { found.append(price) }
            return true
        }
        return found.sorted { ($0.fingerprint, $0.key) < ($1.fingerprint, $1.key) }
    }

    private static func test(_ name: String, _ hash: KeyedHash) -> (StoredPrice) -> Bool {
        let digits = name.lowercased()
        if digits.count >= 4, digits.count <= 32, digits.allSatisfy(\.isHexDigit) {
            return { $0.fingerprint.description.hasPrefix(digits) || $0.key.description.hasPrefix(digits) }
        }
        let text = Array(name.utf8)
        var normalizer = Normalizer(hash: hash)
        let fingerprint = normalizer.sketch(text.rawSpan, from: 0)?.fingerprint
        return { $0.fingerprint == fingerprint }
    }
}
