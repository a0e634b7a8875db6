// SPDX-License-Identifier: Apache-2.0

/// Statements that the planner has no price for, by what they do to a server.
public enum UtilityClass: String, Sendable, CaseIterable {
    /// BEGIN, SET, PREPARE, FETCH, …: next to nothing, or paid by rows and bytes.
    case instant
    /// EXPLAIN without ANALYZE: the planner runs, the plan does not.
    case explain
    /// CREATE, ALTER, DROP, GRANT, …: catalog changes.
    case definition
    /// VACUUM, ANALYZE, CREATE INDEX, CLUSTER, REINDEX, REFRESH: work on whole tables.
    case maintenance
    /// CALL, DO, and what is not known: anything may run.
    case unknown

    /// The price in units, before anything is learned from durations.
    public var units: Double {
        switch self {
        case .instant: 0.1
        case .explain: 10
        case .definition: 100
        case .maintenance, .unknown: 1000
        }
    }

    /// The class of a statement by its node in PostgreSQL's grammar (`parsenodes.h`).
    public init(node: String) {
        switch node {
        case "TransactionStmt", "VariableSetStmt", "VariableShowStmt", "PrepareStmt", "DeallocateStmt", "DiscardStmt",
            "ListenStmt", "UnlistenStmt", "NotifyStmt", "ClosePortalStmt", "FetchStmt", "LockStmt",
            "ConstraintsSetStmt",
            "CheckPointStmt", "LoadStmt", "ExecuteStmt":
            self = .instant
        case "VacuumStmt", "IndexStmt", "ClusterStmt", "ReindexStmt", "RefreshMatViewStmt": self = .maintenance
        case "CallStmt", "DoStmt": self = .unknown
        default: self = node.hasSuffix("Stmt") ? .definition : .unknown
        }
    }
}
