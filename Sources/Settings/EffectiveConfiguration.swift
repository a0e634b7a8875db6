// SPDX-License-Identifier: Apache-2.0

/// What holds, value by value, and where each comes from: YAML that can be read back.
public enum EffectiveConfiguration {
    /// What holds where nothing was given, beside the options.
    private static let standards: [(path: [String], text: String)] = [
        (["quota", "mode"], "monitor"), (["quota", "time_zone"], "UTC"), (["quota", "max_limited"], "20%"),
        (["quota", "connections", "limited"], "5"), (["quota", "connections", "severe"], "1"),
        (["quota", "default_tier"], "free"), (["quota", "tiers", "free", "hourly"], "1M"),
        (["quota", "tiers", "free", "daily"], "10M"), (["quota", "tiers", "premium", "hourly"], "10M"),
        (["quota", "tiers", "premium", "daily"], "100M"), (["quota", "tiers", "enterprise", "hourly"], "100M"),
        (["quota", "tiers", "enterprise", "daily"], "1G"), (["pricing", "default"], "1000"),
        (["pricing", "held"], "10"),
    ]

    /// The text; keys without a value and a default, or whose default is told by the machine, are left out.
    public static func yaml(_ settings: Settings) -> String {
        var entries: [(path: [String], text: String, origin: String)] = []
        func add(_ path: [String], _ standard: String) {
            if let given = settings.values.last(where: { $0.path == path }) {
                entries.append((path, given.text, given.origin))
            } else if !standard.isEmpty, !standard.contains(" ") {
                entries.append((path, ValueList.quoted(standard), "default"))
            }
        }
        let hasTiers = settings.values.contains { $0.path.starts(with: ["quota", "tiers"]) }
        for key in OptionKey.all { add(key.path.split(separator: ".").map(String.init), key.standard) }
        for entry in standards where !(hasTiers && entry.path.starts(with: ["quota", "tiers"])) {
            add(entry.path, entry.text)
        }
        for value in settings.values where !entries.contains(where: { $0.path == value.path }) {
            entries.append((value.path, value.text, value.origin))
        }
        var order: [String] = []
        for entry in entries where !order.contains(entry.path[0]) { order.append(entry.path[0]) }
        var lines: [String] = []
        for section in order { write(entries.filter { $0.path[0] == section }, depth: 0, into: &lines) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(
        _ entries: [(path: [String], text: String, origin: String)],
        depth: Int,
        into lines: inout [String]
    ) {
        let indent = String(repeating: "  ", count: depth)
        var order: [String] = []
        for entry in entries where !order.contains(entry.path[depth]) { order.append(entry.path[depth]) }
        for name in order {
            let inner = entries.filter { $0.path[depth] == name }
            if let leaf = inner.first, leaf.path.count == depth + 1 {
                let line = "\(indent)\(ValueList.quoted(name)): \(leaf.text)"
                lines.append(line + String(repeating: " ", count: max(2, 48 - line.count)) + "# " + leaf.origin)
            } else {
                lines.append("\(indent)\(ValueList.quoted(name)):")
                write(inner, depth: depth + 1, into: &lines)
            }
        }
    }
}
