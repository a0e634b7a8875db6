// SPDX-License-Identifier: Apache-2.0

/// The JSON Schema of the configuration (draft 2020-12), for editors and checkers.
public enum ConfigurationSchema {
    /// The schema, two blanks a level.
    public static func json() -> String {
        var sections: [(String, [(String, String)])] = []
        var plain: [(String, String)] = []
        func add(_ section: String, _ key: String, _ schema: String) {
            if let place = sections.firstIndex(where: { $0.0 == section }) {
                sections[place].1.append((key, schema))
            } else {
                sections.append((section, [(key, schema)]))
            }
        }
        for key in OptionKey.all {
            let (section, name) = key.parts
            if section.isEmpty { plain.append((name, schema(of: key))) } else { add(section, name, schema(of: key)) }
        }
        for entry in QuotaSchema.properties { add("quota", entry.key, entry.schema) }
        add("pricing", "default", described("What a statement costs that has no price of its own.", QuotaSchema.units))
        add("pricing", "held", described("What a second of a held connection costs.", QuotaSchema.units))
        add("pricing", "file", described("Prices of patterns, beside this file.", #"{"type": "string"}"#))
        add(
            "fingerprint",
            "seed",
            described("The key of fingerprints, one for all nodes.", #"{"type": ["integer", "string"]}"#)
        )
        let properties = plain + sections.map { ($0.0, object($0.1)) }
        let head = [
            (#"$schema"#, #""https://json-schema.org/draft/2020-12/schema""#), ("title", #""pgweir.yaml""#),
            ("type", #""object""#), ("additionalProperties", "false"), ("properties", members(properties)),
        ]
        return Indenter.indent(members(head)) + "\n"
    }

    private static func object(_ properties: [(String, String)]) -> String {
        #"{"type": "object", "additionalProperties": false, "properties": "# + members(properties) + "}"
    }

    static func members(_ entries: [(String, String)]) -> String {
        "{" + entries.map { "\(quoted($0.0)): \($0.1)" }.joined(separator: ", ") + "}"
    }

    static func described(_ help: String, _ schema: String) -> String {
        #"{"description": "# + quoted(help) + ", " + schema.dropFirst()
    }

    private static func schema(of key: OptionKey) -> String {
        let help = key.standard.isEmpty ? key.help : "\(key.help) Default: \(key.standard)."
        return described(help, schema(key.kind))
    }

    /// Numbers may come as text: from variables.
    private static func schema(_ kind: OptionKey.Kind) -> String {
        switch kind {
        case .text, .path, .connection: #"{"type": ["string", "number"]}"#
        case .place: #"{"type": "string", "pattern": "^(.*:[0-9]+|.*\\$\\{.*)$"}"#
        case .server, .network: #"{"type": "string", "pattern": "^([\\[\\]0-9A-Fa-f.:/]+|.*\\$\\{.*)$"}"#
        case .choice(let words): #"{"enum": ["# + words.map(quoted).joined(separator: ", ") + "]}"
        case .integer(let range), .mebibytes(let range):
            #"{"anyOf": [{"type": "integer", "minimum": "# + "\(range.lowerBound)"
                + #", "maximum": "# + "\(range.upperBound)" + "}, \(QuotaSchema.variable)]}"
        case .seconds: QuotaSchema.duration
        case .toggle, .inverse: #"{"anyOf": [{"type": "boolean"}, "# + QuotaSchema.variable + "]}"
        case .list(let inner):
            #"{"anyOf": ["# + schema(inner) + #", {"type": "array", "items": "# + schema(inner) + "}]}"
        }
    }

    static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}

/// The part of the schema that is not made from options.
enum QuotaSchema {
    static let variable = #"{"type": "string", "pattern": "\\$\\{"}"#
    static let units =
        #"{"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "^([0-9][0-9_.]*[kMG]?|.*\\$\\{.*)$"}]}"#
    static let duration =
        #"{"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^([0-9]+[smhd]?|.*\\$\\{.*)$"}]}"#
    private static let text = #"{"type": ["string", "number"]}"#
    private static let mode = #"{"enum": ["off", "monitor", "warn", "enforce", false]}"#
    private static let names = #"{"type": "object", "additionalProperties": {"type": ["string", "number"]}}"#

    private static let tier =
        #"{"type": "object", "additionalProperties": false, "properties": {"hourly": "# + units + #", "daily": "#
        + units
        + #", "monthly": "# + units + #", "sliding": {"type": "object", "additionalProperties": "# + units
        + #"}, "burst": {"type": "object", "additionalProperties": false, "required": ["units", "refill"], "properties": {"units": "#
        + units + #", "refill": "# + duration + #"}}, "mode": "# + mode
        + #", "floor": {"type": "integer", "minimum": 1, "maximum": 100000}}}"#

    private static let rung = #"{"type": "integer", "minimum": 1, "maximum": 100000}"#

    /// In the order of the example; `false` is what YAML makes of a bare off.
    static let properties: [(key: String, schema: String)] = [
        ("mode", ConfigurationSchema.described("What is done about users who overdraw. Default: monitor.", mode)),
        ("time_zone", ConfigurationSchema.described("When calendar windows begin. Default: UTC.", text)),
        (
            "max_limited",
            ConfigurationSchema.described("The share of users that may be limited at once. Default: 20%.", text)
        ),
        (
            "connections",
            #"{"description": "Connections left from 100 % and from 150 %.", "type": "object", "additionalProperties": false, "#
                + #""properties": {"limited": "# + rung + #", "severe": "# + rung + "}}"
        ),
        (
            "exempt",
            #"{"description": "Names and patterns of users who are never judged.", "type": "array", "items": "# + text
                + "}"
        ),
        ("key", ConfigurationSchema.described("The secret of users' hashes: a variable only.", variable)),
        ("key_file", ConfigurationSchema.described("A file that holds it.", text)),
        ("default_tier", ConfigurationSchema.described("The tier of users that are not listed. Default: free.", text)),
        (
            "tiers",
            #"{"description": "Budgets by tier.", "type": "object", "additionalProperties": "# + tier + "}"
        ),
        ("users", ConfigurationSchema.described("The tier of single users.", names)),
        ("patterns", ConfigurationSchema.described("Tiers by name pattern; the first that fits.", names)),
        (
            "directory",
            #"{"description": "A database that says who is in which tier.", "type": "object", "additionalProperties": false, "#
                + #""required": ["server"], "properties": {"server": "# + text + #", "roles": "# + names
                + #", "query": "#
                + text + #", "every": "# + duration + "}}"
        ),
    ]
}

/// Puts JSON on lines.
private enum Indenter {
    static func indent(_ json: String) -> String {
        var (result, depth, isText, isEscaped) = ("", 0, false, false)
        func line() { result += "\n" + String(repeating: "  ", count: depth) }
        var skipsBlank = false
        for character in json {
            if isText {
                result.append(character)
                if isEscaped {
                    isEscaped = false
                } else if character == "\\" {
                    isEscaped = true
                } else if character == "\"" {
                    isText = false
                }
                continue
            }
            if skipsBlank, character == " " { continue }
            skipsBlank = false
            switch character {
            case "\"":
                isText = true
                result.append(character)
            case "{", "[":
                depth += 1
                result.append(character)
                line()
            case "}", "]":
                depth -= 1
                line()
                result.append(character)
            case ",":
                result.append(character)
                line()
                skipsBlank = true
            default: result.append(character)
            }
        }
        return result
    }
}
