// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import Costs
import Domain
import Fingerprints

/// Which stored prices a command is about.
struct CostSelection: ParsableArguments {
    @Option(help: ArgumentHelp("Patterns of this database only.", valueName: "name")) var database: String?
    @Option(help: ArgumentHelp("Patterns that use this table, as name or schema.name.", valueName: "name"))
    var table: String?
    @Option(help: "Prices that came about this way: generic, literal, utility, pinned, failed.") var method:
        PriceMethod?

    var isEmpty: Bool { database == nil && table == nil && method == nil }

    func includes(_ price: StoredPrice) -> Bool {
        if let database, price.database != database { return false }
        if let method, price.method != method { return false }
        guard let table else { return true }
        return price.tables.contains { $0 == table || $0.hasSuffix("." + table) }
    }

    /// The prices of the store that are meant, and that `name` means: a fingerprint, the first digits of one or of a key,
    /// or a statement.
    func find(_ name: String?, in store: any CostStore, hash: KeyedHash) throws -> [StoredPrice] {
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

extension PriceMethod: ExpressibleByArgument {}
