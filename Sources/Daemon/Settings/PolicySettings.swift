// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
import Fingerprints
import Pipeline
public import Quotas
public import Settings

/// What a configuration says of tiers, users and prices, or the defaults: the same for captures and for live taps.
public struct PolicySettings: Sendable {
    /// Who may spend what.
    public var policy = QuotaPolicy.standard
    /// What statements cost where nothing better is known.
    public var prices = PriceList()
    /// The key of fingerprints.
    public var hash = KeyedHash.standard
    /// A database that tells tiers.
    public var directory: DirectorySettings?
    /// The key of users' hashes.
    public var key: [UInt8]?

    init() {}

    /// Reads the configuration: the file asked for, else that of $PGWEIR_CONFIG.
    public static func load(_ config: String?) throws -> PolicySettings {
        try PolicySettings(try ConfigurationFile.load(config), file: ConfigurationFile.path(config))
    }

    /// What settings say; `file`: where they stand, beside which the price file is looked for.
    public init(_ settings: Settings, file: String?) throws {
        (policy, directory, key) = (settings.policy, settings.directory, settings.key)
        if let seed = settings.seed { hash = KeyedHash(seed: seed) }
        var prices: [Fingerprint: CostUnits] = [:]
        if let name = settings.priceFile {
            let path = TextFile.resolve(name, beside: file ?? "")
            var normalizer = Normalizer(hash: hash)
            for entry in try Settings.prices(yaml: try Self.priceText(path, settings), file: path) {
                let sql = Array(entry.statement.utf8)
                guard
                    let key = Fingerprint(entry.statement)
                        ?? normalizer.sketch(sql.rawSpan, from: 0).map(\.fingerprint)
                else { continue }
                prices[key] = entry.price
            }
        }
        self.prices = PriceList(prices: prices, fallback: settings.defaultPrice, held: settings.heldPrice)
    }

    /// The key of fingerprints that a configuration gives, or the standard one.
    public static func hash(of config: String?) throws -> KeyedHash {
        try ConfigurationFile.load(config).seed.map { KeyedHash(seed: $0) } ?? .standard
    }

    /// The text of the price file; an error says where that is named, too.
    private static func priceText(_ path: String, _ settings: Settings) throws(SettingsError) -> String {
        do throws(SettingsError) {
            return try TextFile.read(path, allowsPipes: true)
        } catch {
            guard var place = settings.priceFileError else { throw error }
            place.message += " (\(error.message))."
            throw place
        }
    }
}
