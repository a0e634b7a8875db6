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
        if let quota = fields["quota"] { policy = try Self.policy(quota) }
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

    private static func policy(_ node: StrictNode) throws(SettingsError) -> QuotaPolicy {
        let fields = try node.fields("'quota'", ["tiers", "users", "default_tier"])
        var tiers = Array(QuotaPolicy.standard.tiers.values)
        if let list = fields["tiers"] {
            tiers = []
            for entry in try list.entries("'quota.tiers'") {
                let limits = try entry.value.fields("the tier '\(entry.key)'", ["hourly", "daily"])
                tiers.append(
                    Tier(
                        name: entry.key,
                        hourly: try limits["hourly"].map { node throws(SettingsError) in
                            CostUnits(units: try node.units("'hourly'"))
                        },
                        daily: try limits["daily"].map { node throws(SettingsError) in
                            CostUnits(units: try node.units("'daily'"))
                        }
                    )
                )
            }
        }
        let names = tiers.map(\.name).sorted()
        func known(_ node: StrictNode, _ what: String) throws(SettingsError) -> String {
            let name = try node.text(what)
            guard names.contains(name) else {
                throw node.error("\(what) names the tier '\(name)', which is not defined; known are \(names).")
            }
            return name
        }
        var policy = QuotaPolicy(tiers: tiers, fallback: QuotaPolicy.standard.fallback)
        if let node = fields["default_tier"] {
            policy.fallback = try known(node, "'quota.default_tier'")
        } else if !names.contains(policy.fallback) {
            throw node.error("'quota.default_tier' is missing: name one of \(names) for users who are not listed.")
        }
        if let users = fields["users"] {
            for entry in try users.entries("'quota.users'") {
                policy.users[entry.key] = try known(entry.value, "the user '\(entry.key)'")
            }
        }
        return policy
    }
}
