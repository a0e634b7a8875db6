// SPDX-License-Identifier: Apache-2.0

/// How the daemon stands: the top of the page, and `/api/v1/status`.
public struct StatusModel: Encodable, Sendable {
    /// RFC 3339.
    public var time = "", began = ""
    /// The version that runs.
    public var version = ""
    /// What is watched.
    public var sources: [String] = [], ports: [Int] = []
    /// What is wrong, with the remedy; empty: nothing.
    public var problems: [String] = []
    /// Statements that the server started, since the daemon began and in the last full minute.
    public var statements: UInt64 = 0, statementsLastMinute: Int64?
    /// Cost units that are proven, the same way.
    public var costUnits = 0.0, costUnitsLastMinute: Double?
    public var openSessions = 0, activeSessions = 0
    public var users = 0, limitedUsers = 0
    /// Sessions that cannot be read, and their share of all; bytes that were never seen, and their share.
    public var encryptedSessions: UInt64 = 0, blindShare = 0.0
    public var lostPackets: UInt64 = 0, gapBytes: UInt64 = 0, lossShare = 0.0
    /// Statements whose user is not known, and their cost.
    public var unattributedStatements: UInt64 = 0, unattributedCostUnits = 0.0
    /// The share of the statements that servers counted of late which was seen, the lowest of all servers; `nil`: not known.
    public var verifiedShare: Double?
    /// What was compared, a sentence a server; empty: no server is asked.
    public var verification: [String] = []
    /// Whether names of users are shown.
    public var showsNames = false
    /// Minutes of statements and cost, the oldest first; empty without a history.
    public var minutes: [MinuteModel] = []

    /// A model of these values.
    public init() {}
}

/// One minute, or one step of a trend.
public struct MinuteModel: Encodable, Sendable {
    /// Minutes since the epoch.
    public var minute: Int64
    /// Statements that finished.
    public var calls: Int64
    /// Cost units that are proven.
    public var costUnits: Double
    /// Server time, in seconds.
    public var seconds: Double
    /// Statements that failed.
    public var errors: Int64

    /// A model of these values.
    public init(minute: Int64, calls: Int64, costUnits: Double, seconds: Double, errors: Int64) {
        (self.minute, self.calls, self.costUnits, self.seconds, self.errors) = (
            minute, calls, costUnits, seconds, errors
        )
    }
}

/// One budget of a user.
public struct BudgetModel: Encodable, Sendable {
    /// Such as `hour` or `10 minutes`.
    public var window: String
    /// Units: the budget, what is proven, and what is possible.
    public var budget: Double, used: Double, possible: Double
    /// Shares of the budget.
    public var utilization: Double, utilizationHigh: Double
    /// When it comes back, RFC 3339; `nil`: bit by bit.
    public var resets: String?

    /// A model of these values.
    public init(
        window: String,
        budget: Double,
        used: Double,
        possible: Double,
        utilization: Double,
        utilizationHigh: Double,
        resets: String?
    ) {
        (self.window, self.budget, self.used, self.possible) = (window, budget, used, possible)
        (self.utilization, self.utilizationHigh, self.resets) = (utilization, utilizationHigh, resets)
    }
}

/// How a limit stands at one backend.
public struct EnforcementModel: Encodable, Sendable {
    public var backend: String, state: String, reason: String
    /// Connections that are allowed, and that were seen.
    public var connections: Int?, observed: Int?

    /// A model of these values.
    public init(backend: String, state: String, reason: String, connections: Int?, observed: Int?) {
        (self.backend, self.state, self.reason) = (backend, state, reason)
        (self.connections, self.observed) = (connections, observed)
    }
}

/// A user and his budgets.
public struct UserModel: Encodable, Sendable {
    /// The hash that logs and metrics have.
    public var id = ""
    /// The name, where names are shown.
    public var name: String?
    public var tier = "", mode = "", verdict = "ok"
    /// Since when, RFC 3339.
    public var since: String?
    /// How full the fullest budget is: proven, and possible.
    public var utilization = 0.0, utilizationHigh = 0.0
    /// What is done, in a few words.
    public var action = ""
    /// Connections that are left; `nil`: all.
    public var connections: Int?
    /// Whether a limit waits for consent.
    public var isHeld = false
    /// Since the daemon began, on this node.
    public var statements: UInt64 = 0, errors: UInt64 = 0, costUnits = 0.0, seconds = 0.0
    /// Every budget; empty: none.
    public var budgets: [BudgetModel] = []
    /// How the limit stands at each backend.
    public var enforcement: [EnforcementModel] = []
    /// What a person decided, until when, and why.
    public var override: String?

    /// A model of these values.
    public init() {}
}

/// A pattern and what it did.
public struct PatternModel: Encodable, Sendable {
    /// The pattern's key.
    public var fingerprint = ""
    /// The normalized text, where texts are shown.
    public var text: String?
    /// The database; `nil`: not known.
    public var database: String?
    public var calls: Int64 = 0, errors: Int64 = 0, rows: Int64 = 0, bytes: Int64 = 0
    public var costUnits = 0.0, costUnitsHigh = 0.0
    /// Its share of all cost in the same span.
    public var share = 0.0
    /// Server time in seconds: the sum, and percentiles.
    public var seconds = 0.0, p50 = 0.0, p95 = 0.0, p99 = 0.0, longest = 0.0
    /// Cost units of equal steps, the oldest first.
    public var trend: [Double] = []

    /// A model of these values.
    public init() {}
}

/// One entry of the audit trail.
public struct AuditModel: Encodable, Sendable {
    /// RFC 3339.
    public var time: String
    public var event: String, actor: String, node: String
    /// The user's hash, and name where names are shown.
    public var user: String?, name: String?
    /// What else there is to tell.
    public var details: [String: String]

    /// A model of these values.
    public init(
        time: String,
        event: String,
        actor: String,
        node: String,
        user: String?,
        name: String?,
        details: [String: String]
    ) {
        (self.time, self.event, self.actor, self.node) = (time, event, actor, node)
        (self.user, self.name, self.details) = (user, name, details)
    }
}

/// A span of time that lists and trends are of.
public struct SpanModel: Sendable, Hashable {
    /// As addresses have it, such as `1h`.
    public var name: String
    /// In minutes; and a step of its trends.
    public var minutes: Int64, step: Int64

    /// Those that pages offer.
    public static let all = [
        SpanModel(name: "1h", minutes: 60, step: 2), SpanModel(name: "6h", minutes: 360, step: 10),
        SpanModel(name: "24h", minutes: 1440, step: 30), SpanModel(name: "7d", minutes: 10_080, step: 240),
    ]

    /// A span by its name; the first one for any other.
    public static func named(_ name: String?) -> SpanModel { all.first { $0.name == name } ?? all[0] }
}
