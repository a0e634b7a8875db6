// SPDX-License-Identifier: Apache-2.0
import Yams

/// Puts variables of the environment in: `${NAME}`, or `${NAME:-what else}`, in values; `${file:PATH}` is what stands in a
/// file, without the line end behind it; `$${` is a plain `${`.
///
/// Looks for secrets in the same pass: they stand in files of their own or in the environment, never in a configuration
/// that people mail around.
struct Interpolation {
    let file: String
    let sources: Sources
    /// Nodes that may still be visited: aliases can make a small file endless.
    private var left = 100_000

    /// Where values come from.
    struct Sources {
        var variable: (String) -> String? = { _ in nil }
        /// Reads a file that the configuration names.
        var contents: (String) throws(SettingsError) -> String = { path throws(SettingsError) in
            throw SettingsError(file: path, message: "files are not read here.")
        }
    }

    init(file: String, sources: Sources) { (self.file, self.sources) = (file, sources) }

    mutating func resolve(_ node: Node, at path: String = "") throws(SettingsError) -> Node {
        left -= 1
        guard left > 0 else {
            throw place(node).error("there is more than fits: at most 100,000 values, aliases counted anew.")
        }
        switch node {
        case .scalar(var scalar):
            try refuseSecret(node, scalar.string, path)
            guard scalar.string.contains("${") else { return node }
            scalar.string = try expand(scalar.string, node)
            return .scalar(scalar)
        case .sequence(let sequence):
            var nodes: [Node] = []
            for element in sequence { nodes.append(try resolve(element, at: path)) }
            return .sequence(Node.Sequence(nodes, sequence.tag, sequence.style, sequence.mark))
        case .mapping(let mapping):
            var pairs: [(Node, Node)] = []
            for (key, value) in mapping {
                let name = key.scalar?.string ?? ""
                pairs.append((key, try resolve(value, at: path.isEmpty ? name : path + "." + name)))
            }
            return .mapping(Node.Mapping(pairs, mapping.tag, mapping.style, mapping.mark))
        case .alias: return node
        }
    }

    private func place(_ node: Node) -> StrictNode { StrictNode(node: node, file: file) }

    private func expand(_ text: String, _ node: Node) throws(SettingsError) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.range(of: "${") {
            if rest[..<start.lowerBound].hasSuffix("$") {
                result += rest[..<start.upperBound].dropLast(3) + "${"
                rest = rest[start.upperBound...]
                continue
            }
            result += rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
                throw place(node).error("'${' has no '}'; write $${ for a plain one.")
            }
            let body = rest[start.upperBound..<end]
            defer { rest = rest[rest.index(after: end)...] }
            if body.hasPrefix("file:") {
                result += try contents(String(body.dropFirst(5)), node)
                continue
            }
            let cut = body.range(of: ":-")
            let name = String(body[..<(cut?.lowerBound ?? body.endIndex)])
            let isName = !name.isEmpty && name.allSatisfy { $0 == "_" || ($0.isASCII && ($0.isLetter || $0.isNumber)) }
            guard isName else {
                throw place(node).error(
                    "'${\(body)}' names no variable; write ${NAME}, ${NAME:-what else} or ${file:PATH}."
                )
            }
            if let value = sources.variable(name), !(value.isEmpty && cut != nil) {
                result += value
            } else if let cut {
                result += body[cut.upperBound...]
            } else {
                throw place(node).error("the environment has no \(name); set it, or write ${\(name):-what else}.")
            }
        }
        return result + rest
    }

    private func contents(_ path: String, _ node: Node) throws(SettingsError) -> String {
        var text: Substring
        do throws(SettingsError) {
            text = try sources.contents(path)[...]
        } catch {
            throw place(node).error("'${file:\(path)}' cannot be read: \(error.message)")
        }
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }

    private func refuseSecret(_ node: Node, _ text: String, _ path: String) throws(SettingsError) {
        if path == "quota.key", !text.contains("${") {
            throw place(node).error(
                "a secret does not stand in the configuration: put it in a file and name that by 'quota.key_file', "
                    + "or write ${VARIABLE} or ${file:PATH}."
            )
        }
        guard let secret = Self.password(in: text), !secret.hasPrefix("${") else { return }
        throw place(node).error(
            "a password does not stand in the configuration: use a password file (~/.pgpass, passfile=…), a service "
                + "file, $REDISCLI_AUTH, or write ${VARIABLE} or ${file:PATH}."
        )
    }

    /// The password in a connection string or URL.
    static func password(in text: String) -> Substring? {
        if let scheme = text.range(of: "://") {
            let authority = text[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
            if let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") {
                let password = authority[authority.index(after: colon)..<at]
                if !password.isEmpty { return password }
            }
        }
        for word in ["password=", "password ="] {
            guard let found = text.range(of: word) else { continue }
            let value = text[found.upperBound...].drop { $0 == " " || $0 == "'" }
            return value.prefix { $0 != " " && $0 != "'" && $0 != "&" }
        }
        return nil
    }
}

extension StringProtocol {
    /// The first place of `text`; Foundation is not needed for that.
    fileprivate func range(of text: String) -> Range<Index>? { firstRange(of: text) }
}
