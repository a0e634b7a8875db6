// SPDX-License-Identifier: Apache-2.0
import Costs
public import Domain
import PostgresWire
public import Quotas

/// What one user did in one database from one client address.
public struct Principal: Sendable {
    // First what every statement touches, so that it lies in two cache lines.
    /// What it cost, by hour.
    public var account = Account()
    /// Counts of statements and messages.
    public var counts = PrincipalCounts()
    /// The login's name; `nil`: unattributed.
    public var user: String?
    /// The database's name; `nil`: unattributed.
    public var database: String?
    /// The client's address without its port; `nil`: unattributed.
    public var client: String? {
        address.map { String(Endpoint(high: $0.high, low: $0.low, port: 0).description.dropLast(2)) }
    }
    /// The same as an address, without a port.
    public internal(set) var address: Endpoint?
    /// Where it did that, where principals are told apart by that.
    public internal(set) var server: Endpoint?
    /// The application's name, where principals are told apart by that.
    public internal(set) var application: String?
    var databaseIndex: Int32 = 0
    var roleIndex: Int32 = 0
    /// The search_path that its logins begin with, by its number; 0: the server's.
    var path: UInt16 = 0
    /// What a login finds it by, and the number of its user.
    var key = Fingerprint.unknown
    var owner: Int32 = 0
    /// How many statements it had sent when room was sought last.
    var seenUses: UInt64 = 0
    /// How slowly its statements ran in the current second of packet time.
    var pace = Pace()
    var paceSecond = Int64.min
    /// It is in the list of those whose pace is to be gathered.
    var isPaced = false
    /// It is to make room, unless a session refers to it.
    var isCondemned = false
    /// It stands for all other addresses of its user.
    var isRest = false
    /// Its server is not one that is proven, where some are: what it used is possible, not proven.
    var isPossible = false

    /// Nobody, who did nothing.
    public init() {}
}

/// Counts of what a principal did.
///
/// Plain numbers, added up with ``add(_:)``.
public struct PrincipalCounts: Sendable, BitwiseCopyable, Hashable {
    // In the order of how often they change.
    /// Statements sent.
    public var sent: UInt64 = 0
    /// Micro-units: proven, and proven or possible.
    public var costLow: Int64 = 0, cost: Int64 = 0
    /// Statements of those sent that finished.
    public var completed: UInt64 = 0
    /// Rows as pg_stat_statements counts them.
    public var rows: UInt64 = 0
    /// Server time of finished statements, ns.
    public var duration: UInt64 = 0
    /// Finished executions that pg_stat_statements counts as planned queries.
    public var plannable: UInt64 = 0
    /// Query messages, portals and function calls done without error.
    public var simpleOK: UInt64 = 0, portalsOK: UInt64 = 0, functionCallsOK: UInt64 = 0
    /// Statements of those sent that failed, were never started by the server, and of which that is unknown.
    public var failed: UInt64 = 0, skipped: UInt64 = 0, uncertain: UInt64 = 0
    /// Errors that the server reported.
    public var errors: UInt64 = 0
    /// Bytes of requests that could not be read.
    public var hidden: UInt64 = 0
    /// What they may have cost, micro-units: a part of ``cost``.
    public var hiddenCost: Int64 = 0
    /// Of those that finished and are no planned queries: what pg_stat_statements counts as utility statements; DEALLOCATE,
    /// which it counts since PostgreSQL 17; and those whose text is not known, which may be of any kind.
    public var utilities: UInt64 = 0, deallocations: UInt64 = 0, unclassified: UInt64 = 0
    /// Of ``utilities``, those sent by the extended protocol: of a prepared one the server counts the first run only.
    public var extendedUtilities: UInt64 = 0
    /// Logins that the server accepted.
    public var logins: UInt64 = 0

    /// Statements that the server started.
    public var started: UInt64 { completed &+ failed &+ uncertain }

    /// All zero.
    public init() {}

    /// Adds other counts.
    public mutating func add(_ other: PrincipalCounts) {
        sent &+= other.sent
        completed &+= other.completed
        failed &+= other.failed
        skipped &+= other.skipped
        uncertain &+= other.uncertain
        errors &+= other.errors
        simpleOK &+= other.simpleOK
        portalsOK &+= other.portalsOK
        functionCallsOK &+= other.functionCallsOK
        plannable &+= other.plannable
        rows &+= other.rows
        hidden &+= other.hidden
        hiddenCost &+= other.hiddenCost
        costLow &+= other.costLow
        cost &+= other.cost
        duration &+= other.duration
        utilities &+= other.utilities
        deallocations &+= other.deallocations
        extendedUtilities &+= other.extendedUtilities
        unclassified &+= other.unclassified
        logins &+= other.logins
    }

    /// A statement finished.
    @inline(__always)
    mutating func noteCompleted(_ event: StatementEvent) {
        completed &+= 1
        rows &+= event.rows
        duration &+= UInt64(event.duration)
        if event.kind.isPlannable {
            plannable &+= 1
        } else {
            note(unplanned: event.kind, event.wire)
        }
    }

    /// A message was done without error.
    @inline(__always)
    mutating func note(_ acknowledged: Acknowledgment) {
        switch acknowledged {
        case .query: simpleOK &+= 1
        case .portal: portalsOK &+= 1
        case .functionCall: functionCallsOK &+= 1
        }
    }

    /// A finished statement that is no planned query.
    @inline(__always)
    mutating func note(unplanned kind: StatementKind, _ wire: StatementProtocol) {
        // A FunctionCall message runs no statement.
        guard wire != .functionCall else { return }
        switch kind {
        // What pg_stat_statements leaves to the statement that EXECUTE runs, and what reaches no executor.
        case .prepare, .empty, .replication: break
        case .execute, .unknown: unclassified &+= 1
        case .deallocate, .deallocateAll: deallocations &+= 1
        default:
            utilities &+= 1
            if wire == .extended { extendedUtilities &+= 1 }
        }
    }
}
