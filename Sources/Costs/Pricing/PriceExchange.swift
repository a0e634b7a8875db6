// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A pattern that a worker has no price for, or too old a one.
public struct PriceQuestion: Sendable {
    /// ``PriceKey/digest(_:)``.
    public var key: Fingerprint
    /// The pattern.
    public var fingerprint: Fingerprint
    /// Its text.
    public var pattern: [UInt8]
    /// A statement of that pattern, literals included: it never leaves this process but for the server that is asked.
    public var sample: PatternSample
    /// The database; empty: not known.
    public var database: String
    /// The sizes of LIMIT and OFFSET.
    public var limit: Decade, offset: Decade
    /// How often it ran so far.
    public var calls: UInt64

    /// A question.
    public init(
        key: Fingerprint,
        fingerprint: Fingerprint,
        pattern: [UInt8],
        sample: PatternSample,
        database: String,
        limit: Decade = .absent,
        offset: Decade = .absent,
        calls: UInt64 = 1
    ) {
        (self.key, self.fingerprint, self.pattern, self.sample) = (key, fingerprint, pattern, sample)
        (self.database, self.limit, self.offset, self.calls) = (database, limit, offset, calls)
    }
}

/// The first statement seen of a pattern, kept in memory only.
public struct PatternSample: Sendable {
    /// Its text, literals included; empty: too long to be kept.
    public var text: [UInt8]
    /// Parameter types of its Parse message, by OID.
    public var types: [UInt32] = []
    /// `standard_conforming_strings` was off.
    public var backslashEscapes = false
    /// The role that sent it.
    public var user: String?
    /// The search_path it was sent under; `nil`: that of the login.
    public var searchPath: String?

    /// A sample.
    public init(text: [UInt8]) { self.text = text }
}

/// What a pattern costs from now on.
public struct PriceAnswer: Sendable, BitwiseCopyable {
    /// What was asked for.
    public var key: Fingerprint
    /// What an execution is charged, in micro-units.
    public var price: Int64
    /// Rows and bytes are charged on top.
    public var isMeasured: Bool
    /// What the planner said, in micro-units; 0: nothing.
    public var planned: Int64
    /// How long an execution usually takes, ns; 0: not known.
    public var usual: Int64
    /// A person set it.
    public var isFixed: Bool
    /// The user whose price it is, by the hash of the name; ``Fingerprint/unknown``: of all without one of their own.
    public var payer: Fingerprint

    /// An answer.
    public init(
        key: Fingerprint,
        price: Int64,
        isMeasured: Bool,
        planned: Int64 = 0,
        usual: Int64 = 0,
        isFixed: Bool = false,
        payer: Fingerprint = .unknown
    ) {
        (self.key, self.price, self.isMeasured) = (key, price, isMeasured)
        (self.planned, self.usual, self.isFixed, self.payer) = (planned, usual, isFixed, payer)
    }

    /// The answer as workers keep it.
    public var known: KnownPrice {
        KnownPrice(price: price, isMeasured: isMeasured, planned: planned, usual: usual, isFixed: isFixed)
    }
}

/// How long one user's executions of a pattern took since the last time.
public struct PriceObservation: Sendable {
    /// The pattern's key.
    public var key: Fingerprint
    /// The user, by the hash of the name.
    public var payer: Fingerprint
    /// Completed executions.
    public var durations: RecentDurations

    /// An observation.
    public init(key: Fingerprint, payer: Fingerprint = .unknown, durations: RecentDurations) {
        (self.key, self.payer, self.durations) = (key, payer, durations)
    }
}

/// Something that may have changed plans: a definition, statistics, or many rows at once.
public struct PlanChange: Sendable {
    /// The database.
    public var database: String
    /// The pattern's text, which names tables; it holds no literals.
    public var pattern: [UInt8]

    /// A change.
    public init(database: String, pattern: [UInt8]) { (self.database, self.pattern) = (database, pattern) }
}
