// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Quotas

/// The configuration file: tiers, users, prices, the key of fingerprints.
///
/// Strict: what it does not know is an error.
public struct Settings: Sendable {
    /// Who may spend what.
    public var policy: QuotaPolicy
    /// The price of a statement without one of its own.
    public var defaultPrice: CostUnits
    /// A file of prices, as the configuration names it.
    public var priceFile: String?
    /// Where it is named; message: that it cannot be read.
    public var priceFileError: SettingsError?
    /// The key of fingerprints, which all nodes share; `nil`: the standard one.
    public var seed: UInt64?

    /// Where tiers are read from a database; `nil`: nowhere.
    public var directory: DirectorySettings?
    /// The key of users' hashes, which all nodes share; `nil`: the node makes one of its own.
    public var key: [UInt8]?

    /// What holds without a file.
    public init() {
        policy = .standard
        defaultPrice = .fallback
    }

    /// Reads a configuration; `file` is its name in errors.
    public init(yaml: String, file: String) throws(SettingsError) {
        self.init()
        guard let root = try StrictNode.read(yaml, file: file) else { return }
        let fields = try root.fields("the configuration", ["quota", "pricing", "fingerprint"])
        if let quota = fields["quota"] { (policy, directory, key) = try QuotaSection.read(quota) }
        if let pricing = fields["pricing"] {
            let entries = try pricing.fields("'pricing'", ["default", "file"])
            if let value = entries["default"] { defaultPrice = CostUnits(units: try value.units("'pricing.default'")) }
            if let value = entries["file"] {
                let name = try value.text("'pricing.file'")
                priceFile = name
                priceFileError = value.error(
                    "the price file '\(name)' cannot be read; a relative name begins beside this file"
                )
            }
        }
        if let fingerprint = fields["fingerprint"] {
            let entries = try fingerprint.fields("'fingerprint'", ["seed"])
            if let value = entries["seed"] { seed = try value.seed("'fingerprint.seed'") }
        }
    }

    /// Reads a price file: a mapping of fingerprints (32 hexadecimal digits) or statements to units.
    public static func prices(
        yaml: String,
        file: String
    ) throws(SettingsError) -> [(statement: String, price: CostUnits)] {
        guard let root = try StrictNode.read(yaml, file: file) else { return [] }
        var result: [(statement: String, price: CostUnits)] = []
        for entry in try root.entries("a price file") {
            result.append((entry.key, CostUnits(units: try entry.value.units("the price of '\(entry.key)'"))))
        }
        return result
    }
}
