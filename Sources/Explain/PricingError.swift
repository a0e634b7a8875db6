// SPDX-License-Identifier: Apache-2.0
public import PostgresClient

/// Why a statement has no planner's price.
public enum PricingError: Error, Equatable, CustomStringConvertible {
    /// The server cannot be asked, or refused.
    case server(PostgresError)
    /// It is a primary, and nobody allowed to ask one.
    case isPrimary
    /// The role is a superuser, whose plans are not those of tenants, and who could do harm.
    case isSuperuser
    /// Older than PostgreSQL 12.
    case tooOld(version: Int)
    /// The text cannot be analysed.
    case syntax(SyntaxError)
    /// It holds several statements or none.
    case notOneStatement
    /// Planning could run code that somebody else than the server's makers wrote.
    case unsafe(SafetyFinding)
    /// The parser's process ended over the text, or did not answer in time.
    case parserFailed
    /// The parser's process cannot be started, or ended too often.
    case parserRests
    /// A process of the server looks at no cancellation.
    case backendHeld(pid: Int32)
    /// The plan cannot be read.
    case badPlan

    /// What happened and what to do.
    public var description: String {
        switch self {
        case .server(let error): error.description
        case .isPrimary:
            "the server is a primary; name a read replica, or allow this one with --explain-primary"
        case .isSuperuser:
            "the role is a superuser; make one with Deploy/sql/explain-role.sql"
        case .tooOld(let version): "PostgreSQL \(version / 10_000) is too old; 12 or later is needed"
        case .syntax(let error): error.description
        case .notOneStatement: "the text is not exactly one statement"
        case .unsafe(let finding):
            "planning it could run foreign code or take too long (\(finding.check.rawValue)): \(finding.what)"
        case .parserFailed: "the parser ended over the text, or took too long; the daemon goes on"
        case .parserRests:
            "the parser's process (`pgweir explain-worker`) cannot be started, or ended too often; it is tried again soon"
        case .backendHeld(let pid):
            """
            process \(pid) of the server of --explain ended neither by its timeout nor by pg_terminate_backend; nothing is asked \
            until it is gone. Look at it in pg_stat_activity
            """
        case .badPlan: "the server's plan cannot be read"
        }
    }

    /// The server's error code, such as 42P01, where it refused.
    public var sqlState: String? {
        if case .server(.refused(_, let state)) = self { state } else { nil }
    }

    /// No answer in time: the connection is given up, and the statement may be why.
    var isTimeout: Bool { if case .server(.timedOut) = self { true } else { false } }

    /// Whether the fault is the connection's or this machine's, not the statement's.
    public var isConnectionLost: Bool {
        switch self {
        case .server(.cannotConnect), .isPrimary, .isSuperuser, .tooOld: true
        case .syntax(.noLibrary), .syntax(.noThread), .parserRests, .backendHeld: true
        // Shutdowns, and conflicts with recovery that end the session.
        case .server(.refused(_, let state)): state.hasPrefix("57P") || state.hasPrefix("08")
        default: false
        }
    }
}
