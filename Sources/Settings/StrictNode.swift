// SPDX-License-Identifier: Apache-2.0
import Domain
import Yams

/// A node of a YAML document that is read strictly: what is not expected is an error with its place.
struct StrictNode {
    let node: Node
    let file: String

    /// Where it stands: `file:line`, or the variable.
    var origin: String {
        let label = "the environment variable "
        guard !file.hasPrefix(label) else { return "$" + file.dropFirst(label.count) }
        return node.mark.map { "\(file):\($0.line)" } ?? file
    }

    func error(_ message: String) -> SettingsError {
        SettingsError(file: file, line: node.mark?.line ?? 0, column: node.mark?.column ?? 0, message: message)
    }

    /// The entries of a mapping, each key once.
    func entries(_ what: String) throws(SettingsError) -> [(key: String, place: StrictNode, value: StrictNode)] {
        guard case .mapping(let mapping) = node else { throw error("\(what) must be a mapping of names to values.") }
        var result: [(key: String, place: StrictNode, value: StrictNode)] = []
        for (key, value) in mapping {
            let place = StrictNode(node: key, file: file)
            guard case .scalar(let scalar) = key else { throw place.error("a key of \(what) must be plain text.") }
            result.append((scalar.string, place, StrictNode(node: value, file: file)))
        }
        return result
    }

    /// The entries of a mapping with known keys only.
    func fields(_ what: String, _ known: [String]) throws(SettingsError) -> [String: StrictNode] {
        var result: [String: StrictNode] = [:]
        for entry in try entries(what) {
            guard known.contains(entry.key) else {
                let list = known.map { "'\($0)'" }.joined(separator: ", ")
                throw entry.place.error("unknown key '\(entry.key)' in \(what); known are \(list).")
            }
            result[entry.key] = entry.value
        }
        return result
    }

    func text(_ what: String) throws(SettingsError) -> String {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else { throw error("\(what) must be text.") }
        return scalar.string
    }

    /// An address with a port.
    func place(_ what: String) throws(SettingsError) -> String {
        let text = try text(what)
        guard let place = Endpoint(text), place.port > 0 else {
            throw error(
                "\(what) must be an address and a port, such as 10.0.0.5:6432 or [2001:db8::5]:6432. Found '\(text)'."
            )
        }
        return text
    }

    /// An address, perhaps with a port.
    func server(_ what: String) throws(SettingsError) -> String {
        let text = try text(what)
        guard Endpoint(server: text) != nil else {
            throw error(
                "\(what) must be an address, such as 10.0.0.5, 10.0.0.5:5433 or [2001:db8::5]:5433. Found '\(text)'."
            )
        }
        return text
    }

    /// An address, perhaps with the length of a prefix.
    func network(_ what: String) throws(SettingsError) -> String {
        let text = try text(what)
        guard AddressRange(text) != nil else {
            throw error(
                "\(what) must be an address, such as 10.0.0.9, or address/bits, such as 10.0.8.0/24. Found '\(text)'."
            )
        }
        return text
    }

    /// A number of units: decimal digits, perhaps with underscores, a point, or a suffix k, M or G.
    func units(_ what: String) throws(SettingsError) -> Double {
        let expected = "\(what) must be a number of cost units above 0, such as 1000000 or 2.5M."
        guard case .scalar(let scalar) = node else { throw error(expected) }
        var text = scalar.string.filter { $0 != "_" }
        var scale = 1.0
        if let suffix = text.last, let factor = ["k": 1e3, "M": 1e6, "G": 1e9][suffix] {
            scale = factor
            text.removeLast()
        }
        guard let first = text.first, first.isASCII, first.isNumber, let value = Double(text), value.isFinite,
            value > 0, value * scale <= 9e12
        else { throw error(expected + " Found '\(scalar.string)'.") }
        return value * scale
    }

    func seed(_ what: String) throws(SettingsError) -> UInt64 {
        guard case .scalar(let scalar) = node else { throw error("\(what) must be a whole number.") }
        let text = scalar.string
        let value = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
        guard let value else { throw error("\(what) must be a whole number from 0 to 2^64-1. Found '\(text)'.") }
        return value
    }

    /// Reads a file's only document; `nil` for an empty one.
    static func read(
        _ text: String,
        file: String,
        sources: Interpolation.Sources = Interpolation.Sources()
    ) throws(SettingsError) -> StrictNode? {
        let node: Node
        do {
            guard let found = try Yams.compose(yaml: text) else { return nil }
            node = found
        } catch let error as YamlError {
            throw describe(error, file)
        } catch {
            throw SettingsError(file: file, message: "not valid YAML: \(error)")
        }
        var interpolation = Interpolation(file: file, sources: sources)
        return StrictNode(node: try interpolation.resolve(node), file: file)
    }

    private static func describe(_ error: YamlError, _ file: String) -> SettingsError {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return SettingsError(
                file: file,
                line: mark.line,
                column: mark.column,
                message: "not valid YAML: \(problem)"
            )
        case .duplicatedKeysInMapping(let duplicates, let context):
            return SettingsError(
                file: file,
                line: context.mark.line,
                column: context.mark.column,
                message: "the key '\(duplicates.first ?? "?")' stands there twice; remove one."
            )
        default:
            return SettingsError(file: file, message: "not valid YAML: \(error)")
        }
    }
}
