// SPDX-License-Identifier: Apache-2.0
public import Domain

/// How a price came about.
public enum PriceMethod: String, Sendable, CaseIterable {
    /// The planner's cost of a generic plan.
    case generic
    /// The planner's cost of one statement with its literals.
    case literal
    /// The price of a class of statements that the planner has none for.
    case utility
    /// Set by a person.
    case pinned
    /// Asked for without success: the default price, or what was learned from durations.
    case failed

    /// How far it can be trusted, from 0 to 1: shown to people, and nothing depends on it.
    public var confidence: Double {
        switch self {
        case .pinned: 1
        case .generic: 0.9
        case .literal: 0.6
        case .utility: 0.4
        case .failed: 0.1
        }
    }
}

/// The price of a pattern as it is kept and shared: nothing in it is a literal or the name of a user.
public struct StoredPrice: Sendable, Equatable {
    /// What is priced; see ``PriceKey``.
    public var key: Fingerprint
    /// The pattern, its text and database.
    public var fingerprint: Fingerprint
    /// The pattern's text.
    public var pattern: String
    /// Where it runs; empty: not known.
    public var database: String
    /// The decades of its LIMIT and OFFSET, which are part of the key.
    public var limit = Decade.absent, offset = Decade.absent
    /// How the price came about.
    public var method: PriceMethod
    /// What the planner said, or a person.
    public var cost: CostUnits
    /// Rows that the planner expects.
    public var rows = 0.0
    /// Bytes of a row that it expects.
    public var width = 0
    /// Tables that it reads or writes, as `schema.table`.
    public var tables: [String] = []
    /// The kinds of the plan's nodes from the root down; empty without a plan.
    public var shape = ""
    /// Of the server that was asked, such as 150018; 0: none.
    public var version = 0
    /// When it was priced.
    public var priced: Timestamp
    /// The SQLSTATE, or a word, of why it was not; empty: it was.
    public var failure = ""
    /// How often the question failed in a row.
    public var failures = 0
    /// Costs that it had before, the latest first: to see how a pattern drifts.
    public private(set) var former: [FormerCost] = []
    /// The cost before the last change that counts; `nil`: there was none.
    public var previous: CostUnits? { former.first?.cost }
    /// What durations taught.
    public var learned = LearnedCost()

    /// A price.
    public init(
        key: Fingerprint,
        fingerprint: Fingerprint,
        pattern: String,
        database: String,
        method: PriceMethod,
        cost: CostUnits,
        priced: Timestamp
    ) {
        self.key = key
        self.fingerprint = fingerprint
        self.pattern = pattern
        self.database = database
        self.method = method
        self.cost = cost
        self.priced = priced
    }

    /// A cost that a pattern had until some time.
    public struct FormerCost: Sendable, Equatable {
        /// What it cost.
        public var cost: CostUnits
        /// When another one was found.
        public var until: Timestamp

        /// A cost.
        public init(cost: CostUnits, until: Timestamp) { (self.cost, self.until) = (cost, until) }
    }

    /// So many former costs are kept.
    public static let mostFormer = 8

    /// Another cost holds from `time` on; a move of less than a tenth, as each ANALYZE makes, is not kept.
    public mutating func move(to other: CostUnits, at time: Timestamp) {
        let (low, high) = (min(cost.micro, other.micro), max(cost.micro, other.micro))
        if high - low > low / 10 {
            former = Array(([FormerCost(cost: cost, until: time)] + former).prefix(Self.mostFormer))
        }
        cost = other
    }

    /// Takes former costs, the latest first, as they were stored.
    public mutating func restore(former costs: [FormerCost]) { former = Array(costs.prefix(Self.mostFormer)) }

    /// What one execution is charged, before what it returned or wrote is known.
    public var charge: CostUnits {
        switch method {
        case .pinned: cost
        case .generic, .literal, .utility: learned.charge(of: cost)
        case .failed:
            isRefused ? learned.chargeByTime(until: cost) : learned.chargeOfUnpriced(atMost: cost)
        }
    }

    /// What of ``charge`` is not learned: the planner's word, or next to nothing where only durations tell; 0: all of it.
    public var leastOfLearned: CostUnits {
        switch method {
        case .pinned: CostUnits(micro: 0)
        case .generic, .literal, .utility: cost
        case .failed: charge == cost ? CostUnits(micro: 0) : CostUnits(units: LearnedCost.floor)
        }
    }

    /// What `failure` begins with where the statement is not to be planned.
    public static let refused = "unsafe"
    /// What `failure` is where there was no planner to ask.
    public static let noPlanner = "no planner"

    /// Whether no server saw it, so that no plan tells its price, but only its time.
    public var isRefused: Bool {
        method == .failed
            && (failure.hasPrefix(Self.refused)
                || [Self.noPlanner, "not parsed", "too large", "parser failed"].contains(failure))
    }

    /// Whether rows and bytes are charged on top: a pinned price and an assumed one include them.
    public var isMeasured: Bool { method != .pinned && method != .failed }
}
