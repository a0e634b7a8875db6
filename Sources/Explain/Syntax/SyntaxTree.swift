// SPDX-License-Identifier: Apache-2.0
import Fingerprints
import Foundation

/// Why a text has no syntax tree here; PostgreSQL may take it all the same.
public enum SyntaxError: Error, Equatable, Sendable, Codable, CustomStringConvertible {
    /// libpg_query is not installed.
    case noLibrary
    /// Longer, or with more operators and parentheses, than is safe to parse.
    case tooLarge(what: String)
    /// libpg_query refuses it.
    case notParsed(reason: String)
    /// The system refused a thread to parse on.
    case noThread

    /// Whether it is the text that is not parsed; else nothing is parsed here.
    var isOfText: Bool {
        switch self {
        case .tooLarge, .notParsed: true
        case .noLibrary, .noThread: false
        }
    }

    /// What happened and what to do.
    public var description: String {
        switch self {
        case .noLibrary: "libpg_query is not installed (`apt-get install libpg-query1504.0`)"
        case .tooLarge(let what): "the statement has \(what), more than is parsed here"
        case .notParsed(let reason): "the statement is not parsed: \(reason)"
        case .noThread: "the system refused a thread of 64 MiB stack; raise the limit of threads or memory"
        }
    }
}

/// Parses statements with libpg_query, within limits that keep its recursion from harm.
enum SyntaxTree {
    /// The longest text that is parsed, in bytes.
    static let longestText = 64 << 10
    /// The most operators, and the most opening parentheses, CASEs and the like.
    private static let mostNesting = 2000

    /// The statements of `text`, each as a node with its kind as the only field.
    static func statements(_ text: [UInt8], tokens: [LexicalToken]) throws(SyntaxError) -> [SyntaxNode] {
        guard let library = PgQueryLibrary.shared else { throw .noLibrary }
        guard text.count <= longestText else { throw .tooLarge(what: "\(text.count) bytes") }
        guard !text.contains(0) else { throw .notParsed(reason: "it holds a zero byte") }
        let operators = tokens.count { $0.kind == .symbol || $0.kind == .other }
        let words = tokens.count { $0.kind == .word }
        let openings = tokens.count { $0.kind == .open }
        guard operators <= mostNesting else { throw .tooLarge(what: "\(operators) operators") }
        guard openings <= mostNesting else { throw .tooLarge(what: "\(openings) parentheses") }
        guard words <= 4 * mostNesting else { throw .tooLarge(what: "\(words) words") }
        guard let result = DeepStack.run({ parse(text, library) }) else { throw .noThread }
        return try result.get()
    }

    private static func parse(
        _ text: [UInt8],
        _ library: PgQueryLibrary
    ) -> Result<[SyntaxNode], SyntaxError> {
        switch library.tree(of: text) {
        case .failure(let error): return .failure(error)
        case .success(let json):
            guard let value = try? JSONSerialization.jsonObject(with: Data(json)), let root = SyntaxNode(value)
            else { return .failure(.tooLarge(what: "a syntax tree of more than 500 levels")) }
            return .success(root["stmts"].items.map { $0["stmt"] })
        }
    }
}
