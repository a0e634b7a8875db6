// SPDX-License-Identifier: Apache-2.0
import Domain

/// Something that a client asked and the server has not answered yet.
struct Request: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        /// One statement of a Query message; the last one carries ``Flags/endsQuery``.
        case statement
        /// Parse of a named statement; that of the unnamed one, Bind and Describe leave nothing to take back.
        case parse
        /// Execute; a Sync right behind it is its ``Flags/endsQuery``.
        case execute
        case close, sync, functionCall
        /// CopyDone or CopyFail, sent before the server asked for data.
        case copyEnd
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// ReadyForQuery follows when it is done.
        static let endsQuery = Flags(rawValue: 1)
        /// Answered; only ReadyForQuery is awaited.
        static let done = Flags(rawValue: 2)
        /// Answered with an error.
        static let failed = Flags(rawValue: 4)
        /// The first Execute of its portal.
        static let first = Flags(rawValue: 8)
        /// Parse and Close: the name stood for something before.
        static let hadName = Flags(rawValue: 16)
        /// A walsender command or an empty statement: not metered.
        static let unmetered = Flags(rawValue: 32)
        /// Bytes of it or of its answer are missing.
        static let inDoubt = Flags(rawValue: 64)
        /// The first statement of its Query message.
        static let beginsQuery = Flags(rawValue: 128)
    }

    var next: Int32 = -1
    var kind = Kind.statement
    var flags = Flags(rawValue: 0)
    var statementKind = StatementKind.unknown
    /// What the name stood for before: undone if the server never gets here.
    var previousKind = StatementKind.unknown
    var pattern: PatternHandle = 0
    var previousPattern: PatternHandle = 0
    /// Parse and Close: the statement's name; Execute: the portal's.
    var name: UInt64 = 0
    var price: Int64 = 0
    var sent = Timestamp.epoch
    var bytes: UInt32 = 0
    /// Execute: the row limit.
    var rowLimit: UInt32 = 0
    /// Execute: the ``Portal/serial`` that it ran; Parse: its own number; Query: that of the last Parse before it.
    var serial: UInt32 = 0
    /// Query and Sync, also one that stands with its Execute: the number of the last Bind before it.
    var syncSerial: UInt32 = 0
}

/// A bound statement: PostgreSQL documentation, "Extended Query".
struct Portal: BitwiseCopyable {
    var pattern: PatternHandle = 0
    var kind = StatementKind.unknown
    var state = State(rawValue: 0)
    /// Tells this portal from a later one of the same name.
    var serial: UInt32 = 0
    /// The row limit of the last Execute.
    var rowLimit: UInt32 = 0
    var price: Int64 = 0
    /// When the first Execute was sent.
    var started = Timestamp.epoch
    /// Server time of the runs so far, ns.
    var elapsed: Int64 = 0

    /// Begins anew, with the statement that a Bind names; `nil`: it is not known.
    @inline(__always)
    mutating func bind(_ statement: (pattern: PatternHandle, kind: StatementKind)?, _ serial: UInt32) {
        pattern = statement?.pattern ?? 0
        kind = statement?.kind ?? .unknown
        state = .exists
        self.serial = serial
        rowLimit = 0
        price = 0
        started = .epoch
        elapsed = 0
    }

    struct State: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        static let exists = State(rawValue: 1)
        /// An Execute was sent.
        static let executed = State(rawValue: 2)
        /// PortalSuspended was the last answer.
        static let suspended = State(rawValue: 4)
        /// CommandComplete came; the portal stays until it is closed, replaced, or its transaction ends.
        static let completed = State(rawValue: 8)
        /// The end of its statement was reported, one way or another.
        static let settled = State(rawValue: 16)
    }
}
