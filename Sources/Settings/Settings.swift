// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Quotas

/// The configuration: tiers, users, prices, the key of fingerprints, and every option of the daemon.
///
/// Strict: what it does not know is an error. A file comes first, then variables of the environment; options of the
/// command line, which go before both, are the program's matter.
public struct Settings: Sendable {
    /// Who may spend what.
    public var policy: QuotaPolicy
    /// The price of a statement without one of its own.
    public var defaultPrice: CostUnits?
    /// What a second of a connection costs that is held without work.
    public var heldPrice: CostUnits
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
    /// A file that holds that key, and where it is named.
    public var keyFile: (name: String, place: SettingsError)?
    /// What options of the daemon were given, by their place such as `capture.buffer`.
    public private(set) var options: [String: Given] = [:]
    /// Every value that was given, in the order of the layers: what `pgweir config print` shows.
    public internal(set) var values: [Value] = []

    /// An option that the configuration gives.
    public struct Given: Sendable, Hashable {
        /// As the command line takes it, such as `--buffer 64`.
        public var words: [String]
        /// Where it stands.
        public var origin: String
    }

    /// One value that was given.
    public struct Value: Sendable, Hashable {
        /// The place, such as `quota`, `tiers`, `free`, `hourly`.
        public var path: [String]
        /// The value as YAML, secrets masked.
        public var text: String
        /// Where it stands: `file:line`, or a variable.
        public var origin: String
    }

    /// What holds without a file.
    public init() {
        policy = .standard
        defaultPrice = nil
        heldPrice = .held
    }

    /// Reads a configuration.
    ///
    /// - Parameters:
    ///   - file: its name in errors.
    ///   - environment: variables; those named `PGWEIR_SECTION__KEY` are a layer over the file.
    ///   - contents: reads a file that the configuration names by `${file:PATH}`.
    public init(
        yaml: String,
        file: String,
        environment: [String: String] = [:],
        contents: ((String) throws(SettingsError) -> String)? = nil
    ) throws(SettingsError) {
        self.init()
        var sources = Interpolation.Sources(variable: { environment[$0] })
        if let contents { sources.contents = contents }
        if let root = try StrictNode.read(yaml, file: file, sources: sources) {
            try read(root)
            values = ValueList.list(root)
        }
        try overlay(environment)
    }

    /// Takes what the environment says.
    public mutating func overlay(_ environment: [String: String]) throws(SettingsError) {
        for layer in try EnvironmentLayer.layers(environment) {
            try read(layer)
            let added = ValueList.list(layer)
            values.removeAll { old in added.contains { $0.path == old.path } }
            values += added
        }
    }

    private static let sections = ["quota", "pricing", "fingerprint"]

    private mutating func read(_ root: StrictNode) throws(SettingsError) {
        var names: [String] = Self.sections
        for key in OptionKey.all {
            let first = key.parts.section.isEmpty ? key.path : key.parts.section
            if !names.contains(first) { names.append(first) }
        }
        let fields = try root.fields("the configuration", names)
        for name in names {
            guard let node = fields[name] else { continue }
            try read(section: name, node)
        }
    }

    private mutating func read(section: String, _ node: StrictNode) throws(SettingsError) {
        if let key = OptionKey.all.first(where: { $0.path == section }) { return try give(key, node) }
        let keys = OptionKey.all.filter { $0.parts.section == section }
        let own: [String] =
            switch section {
            case "quota": QuotaSection.keys
            case "pricing": ["default", "file", "held"]
            case "fingerprint": ["seed"]
            default: []
            }
        let fields = try node.fields("'\(section)'", own + keys.map(\.parts.key))
        for key in keys { if let value = fields[key.parts.key] { try give(key, value) } }
        switch section {
        case "quota": try QuotaSection.read(fields, node, into: &self)
        case "pricing": try readPricing(fields)
        case "fingerprint":
            if let value = fields["seed"] { seed = try value.seed("'fingerprint.seed'") }
        default: break
        }
    }

    private mutating func give(_ key: OptionKey, _ node: StrictNode) throws(SettingsError) {
        options[key.path] = Given(words: try key.words(node), origin: node.origin)
    }

    private mutating func readPricing(_ entries: [String: StrictNode]) throws(SettingsError) {
        if let value = entries["default"] { defaultPrice = CostUnits(units: try value.units("'pricing.default'")) }
        if let value = entries["held"] { heldPrice = CostUnits(units: try value.units("'pricing.held'")) }
        if let value = entries["file"] {
            let name = try value.text("'pricing.file'")
            priceFile = name
            priceFileError = value.error(
                "the price file '\(name)' cannot be read; a relative name begins beside this file"
            )
        }
    }

    static let keyForm = "must be 32 hexadecimal digits or more, as 'openssl rand -hex 16' prints them."

    /// A key of users' hashes: hexadecimal, of 16 bytes at least; `nil` for anything else.
    public static func key(_ text: String) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, text.count >= 32, text.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }

    /// The same, from the text of the file that holds it.
    public mutating func take(keyFile text: String) throws(SettingsError) {
        guard var place = keyFile?.place else { return }
        guard let found = Self.key(String(text.filter { !$0.isWhitespace })) else {
            place.message = "the file named by 'quota.key_file' " + Self.keyForm
            throw place
        }
        key = found
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
