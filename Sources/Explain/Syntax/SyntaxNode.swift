// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A part of a syntax tree as libpg_query writes it: `pg_query.proto` in JSON.
indirect enum SyntaxNode: Sendable, Equatable {
    case object([String: SyntaxNode])
    case array([SyntaxNode])
    case text(String)
    case number(Int)
    case flag(Bool)
    case nothing

    /// From what `JSONSerialization` reads; `nil` for what it never gives.
    init?(_ value: Any) {
        switch value {
        case let fields as [String: Any]: self = .object(fields.compactMapValues { SyntaxNode($0) })
        case let items as [Any]: self = .array(items.compactMap { SyntaxNode($0) })
        case let text as String: self = .text(text)
        case let number as Int: self = .number(number)
        case let flag as Bool: self = .flag(flag)
        default: return nil
        }
    }

    /// A field, or ``nothing``.
    subscript(_ name: String) -> SyntaxNode {
        if case .object(let fields) = self { return fields[name] ?? .nothing }
        return .nothing
    }

    /// The elements of an array; none for anything else.
    var items: [SyntaxNode] { if case .array(let items) = self { items } else { [] } }

    /// Fields of an object in the order of their names, so that a walk is the same every time.
    var fields: [(name: String, value: SyntaxNode)] {
        guard case .object(let fields) = self else { return [] }
        return fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    var string: String? { if case .text(let text) = self { text } else { nil } }
    var exists: Bool { self != .nothing }

    /// Where a node stands in the text; libpg_query leaves out 0 and says -1 for "nowhere".
    var location: Int {
        if case .number(let number) = self["location"] { return number }
        return 0
    }

    /// The kind of a node that is wrapped in an object with its name, and its inside: `{"SelectStmt": {…}}`.
    var unwrapped: (kind: String, inside: SyntaxNode)? {
        guard case .object(let fields) = self, fields.count == 1, let only = fields.first,
            only.key.first?.isUppercase == true
        else { return nil }
        return (only.key, only.value)
    }

    /// A list of `String` nodes, such as a qualified name.
    var names: [String] { items.compactMap { $0["String"]["sval"].string ?? $0["String"]["str"].string } }
}
