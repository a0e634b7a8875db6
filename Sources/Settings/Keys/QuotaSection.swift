// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas

/// The part `quota` of the configuration.
enum QuotaSection {
    static let keys = [
        "tiers", "users", "patterns", "directory", "default_tier", "mode", "exempt", "time_zone", "connections",
        "max_limited", "key", "key_file",
    ]

    /// Adds what `fields` say to what is known from an earlier layer.
    static func read(
        _ fields: [String: StrictNode],
        _ node: StrictNode,
        into settings: inout Settings
    ) throws(SettingsError) {
        var policy = settings.policy
        var tiers = Array(policy.tiers.values)
        if let list = fields["tiers"] {
            tiers = []
            for entry in try list.entries("'quota.tiers'") { tiers.append(try tier(entry.key, entry.value)) }
        }
        let names = tiers.map(\.name).sorted()
        policy.tiers = Dictionary(tiers.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
        if let node = fields["default_tier"] {
            policy.fallback = try known(node, names, "'quota.default_tier'")
        } else if !names.contains(policy.fallback) {
            throw node.error("'quota.default_tier' is missing: name one of \(names) for users who are not listed.")
        }
        for entry in try fields["users"]?.entries("'quota.users'") ?? [] {
            policy.users[entry.key.asAccountName] = try known(entry.value, names, "the user '\(entry.key)'")
        }
        for entry in try fields["patterns"]?.entries("'quota.patterns'") ?? [] {
            policy.patterns.append(
                (UserPattern(entry.key.asAccountName), try known(entry.value, names, "the pattern '\(entry.key)'"))
            )
        }
        if let node = fields["mode"] { policy.mode = try node.choice("'quota.mode'") }
        if let node = fields["exempt"] {
            policy.exempt = try node.list("'quota.exempt'").map { UserPattern($0.asAccountName) }
        }
        if let node = fields["time_zone"] { policy.zone = try ZoneFile.zone(node) }
        if let node = fields["connections"] {
            let rungs = try node.fields("'quota.connections'", ["limited", "severe"])
            if let node = rungs["limited"] { policy.connections.limited = try node.count("'limited'", 1...100_000) }
            if let node = rungs["severe"] { policy.connections.severe = try node.count("'severe'", 1...100_000) }
        }
        if let node = fields["max_limited"] { policy.mostLimited = try node.share("'quota.max_limited'") }
        if let node = fields["directory"] { settings.directory = try read(node, names) }
        if let node = fields["key"] { settings.key = try key(try node.text("'quota.key'"), node) }
        if let node = fields["key_file"] { settings.keyFile = (try node.text("'quota.key_file'"), node.error("")) }
        settings.policy = policy
    }

    private static func known(_ node: StrictNode, _ names: [String], _ what: String) throws(SettingsError) -> String {
        let name = try node.text(what)
        guard names.contains(name) else {
            throw node.error("\(what) names the tier '\(name)', which is not defined; known are \(names).")
        }
        return name
    }

    private static func tier(_ name: String, _ node: StrictNode) throws(SettingsError) -> Tier {
        let fields = try node.fields(
            "the tier '\(name)'",
            ["hourly", "daily", "monthly", "sliding", "burst", "mode", "floor"]
        )
        guard !name.hasPrefix("!"), !name.isEmpty, name.allSatisfy({ !$0.isWhitespace }) else {
            throw node.error("a tier's name must be without blanks and not begin with '!'. Found '\(name)'.")
        }
        var tier = Tier(name: name, limits: [])
        for (key, window) in [("hourly", WindowKind.hour), ("daily", .day), ("monthly", .month)] {
            guard let node = fields[key] else { continue }
            tier.limits.append(QuotaLimit(window, CostUnits(units: try node.units("'\(key)'"))))
        }
        for entry in try fields["sliding"]?.entries("'sliding'") ?? [] {
            let seconds = try entry.place.duration("a key of 'sliding'", 60...604_800)
            let budget = CostUnits(units: try entry.value.units("'sliding.\(entry.key)'"))
            tier.limits.append(QuotaLimit(.sliding(seconds: seconds), budget))
        }
        if let node = fields["burst"] {
            let burst = try node.fields("'burst'", ["units", "refill"])
            guard let units = burst["units"], let refill = burst["refill"] else {
                throw node.error("'burst' needs 'units' and 'refill', such as {units: 50k, refill: 10m}.")
            }
            let seconds = try refill.duration("'burst.refill'", 60...86_400)
            tier.limits.append(
                QuotaLimit(.burst(seconds: seconds), CostUnits(units: try units.units("'burst.units'")))
            )
        }
        if let node = fields["mode"] { tier.mode = try node.choice("'mode'") as EnforcementMode }
        if let node = fields["floor"] { tier.floor = try node.count("'floor'", 1...100_000) }
        return tier
    }

    private static func read(_ node: StrictNode, _ names: [String]) throws(SettingsError) -> DirectorySettings {
        let fields = try node.fields("'quota.directory'", ["server", "roles", "query", "every"])
        guard let server = fields["server"] else {
            throw node.error("'quota.directory' needs 'server', such as \"host=db dbname=app user=pgweir\".")
        }
        var directory = DirectorySettings(server: try server.text("'server'"))
        for entry in try fields["roles"]?.entries("'roles'") ?? [] {
            let tier = try known(entry.value, names, "the role '\(entry.key)'")
            directory.roles.append(DirectorySettings.Role(name: entry.key.asAccountName, tier: tier))
        }
        if let node = fields["query"] { directory.query = try node.text("'query'") }
        if let node = fields["every"] { directory.every = try node.duration("'every'", 1...86_400) }
        guard !directory.roles.isEmpty || directory.query != nil else {
            throw node.error("'quota.directory' needs 'roles' or 'query'.")
        }
        return directory
    }

    /// A key is hexadecimal, of 16 bytes at least.
    private static func key(_ text: String, _ node: StrictNode) throws(SettingsError) -> [UInt8] {
        guard let key = Settings.key(text) else { throw node.error("'quota.key' " + Settings.keyForm) }
        return key
    }
}
