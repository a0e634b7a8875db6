// SPDX-License-Identifier: Apache-2.0
import Yams

/// Variables of the environment as configurations of one value each: `PGWEIR_CAPTURE__BUFFER=128` is `capture.buffer`.
///
/// Two underscores part the levels. A value that begins with `[` or `{` is YAML; any other is taken as it is, so that a
/// password needs no quoting.
enum EnvironmentLayer {
    private static let prefix = "PGWEIR_"

    static func layers(_ environment: [String: String]) throws(SettingsError) -> [StrictNode] {
        var layers: [StrictNode] = []
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix(prefix) {
            let parts = String(name.dropFirst(prefix.count)).lowercased().split(separator: "__").map(String.init)
            // Others, such as PGWEIR_CONFIG, are no keys.
            guard parts.count > 1 || parts == ["mode"] else { continue }
            let label = "the environment variable \(name)"
            var node = Node(value)
            if value.hasPrefix("[") || value.hasPrefix("{") {
                guard let read = try StrictNode.read(value, file: label) else { continue }
                node = read.node
            }
            for part in parts.reversed() { node = Node.mapping([Node(part): node]) }
            layers.append(StrictNode(node: node, file: label))
        }
        return layers
    }
}

/// Every value of a document with its place and origin.
enum ValueList {
    static func list(_ root: StrictNode) -> [Settings.Value] {
        var values: [Settings.Value] = []
        walk(root, [], &values)
        return values
    }

    private static func walk(_ node: StrictNode, _ path: [String], _ values: inout [Settings.Value]) {
        if case .mapping(let mapping) = node.node {
            for (key, value) in mapping {
                walk(StrictNode(node: value, file: node.file), path + [key.scalar?.string ?? "?"], &values)
            }
            return
        }
        values.append(Settings.Value(path: path, text: text(node.node, path), origin: node.origin))
    }

    private static func text(_ node: Node, _ path: [String]) -> String {
        switch node {
        case .scalar(let scalar): return quoted(masked(scalar.string, path))
        case .sequence(let sequence): return "[" + sequence.map { text($0, path) }.joined(separator: ", ") + "]"
        case .mapping, .alias: return "{}"
        }
    }

    private static func masked(_ text: String, _ path: [String]) -> String {
        if path == ["quota", "key"] { return "********" }
        guard let secret = Interpolation.password(in: text), !secret.isEmpty else { return text }
        return text.replacing(secret, with: "********")
    }

    /// Plain where YAML reads it back as the same text.
    static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty && text.first != "-" && text.first != "?"
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-./%".contains($0)) }
        return isPlain ? text : "'" + text.replacing("'", with: "''") + "'"
    }
}
