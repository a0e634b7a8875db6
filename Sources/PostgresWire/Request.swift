// SPDX-License-Identifier: Apache-2.0
import Domain

/// Something that a client asked and the server has not answered yet.
///
/// Requests stand in the order in which the server takes them. What one changes (names, the search_path, portals) holds
/// from the answer that proves it on, so nothing has to be undone where the server turns out never to have reached it.
struct Request: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        /// One statement of a Query message; the last one carries ``Flags/endsQuery``.
        case statement
        /// Parse, Bind, Describe and Execute of one statement, as far as they were sent one behind the other; a Sync right
        /// behind them is its ``Flags/endsQuery``.
        case extended
        case close, functionCall
        /// Sync messages, ``Request/ends`` of them.
        case sync
        /// CopyDone or CopyFail, sent before the server asked for data.
        case copyEnd
        /// Statements and ends of queries of which no more is kept than how many they are.
        case summary
    }

    /// Messages of the extended protocol that are not answered yet.
    struct Stages: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        static let parse = Stages(rawValue: 1)
        static let bind = Stages(rawValue: 2)
        /// A Describe that no Execute follows; one of what was parsed or bound just before cannot fail.
        static let describe = Stages(rawValue: 4)
        static let execute = Stages(rawValue: 8)

        /// This one stage and those before it.
        var upTo: UInt8 {
            @inline(__always)
            get { rawValue &<< 1 &- 1 }
        }
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        /// ReadyForQuery follows when it is done.
        static let endsQuery = Flags(rawValue: 1)
        /// Answered; only ReadyForQuery is awaited.
        static let done = Flags(rawValue: 2)
        /// Answered with an error.
        static let failed = Flags(rawValue: 4)
        /// ``StatementResolver/started(_:_:at:)`` was told of it.
        static let charged = Flags(rawValue: 8)
        /// A walsender command or an empty statement: not metered.
        static let unmetered = Flags(rawValue: 16)
        /// Bytes of it or of its answer are missing.
        static let inDoubt = Flags(rawValue: 32)
        /// The first statement of its Query message.
        static let beginsQuery = Flags(rawValue: 64)
        /// It has a Parse, a Bind, an Execute.
        static let parses = Flags(rawValue: 128)
        static let binds = Flags(rawValue: 256)
        static let executes = Flags(rawValue: 512)
        /// Close: of a portal.
        static let isPortal = Flags(rawValue: 1024)
        /// A summary that may hold more statements than are known.
        static let isOpen = Flags(rawValue: 2048)
        /// A summary that begins inside a Query message.
        static let continuesQuery = Flags(rawValue: 4096)
    }

    var next: Int32 = -1
    var kind = Kind.statement
    var stages = Stages(rawValue: 0)
    var flags = Flags(rawValue: 0)
    /// What runs, as far as that is known.
    var statement = Prepared()
    /// Parse and Bind: the statement's name; Close: the name of either.
    var statementName: UInt64 = 0
    /// Bind and Execute: the portal's name.
    var portalName: UInt64 = 0
    var price: Int64 = 0
    var sent = Timestamp.epoch
    /// Bytes of Query, FunctionCall, or Parse, Bind and Execute.
    var bytes: UInt32 = 0
    /// Execute: the row limit; sync and summary: how many ReadyForQuery are awaited.
    var rowLimit: UInt32 = 0
    /// ``Session/generation`` when its statement was looked up.
    var generation: UInt32 = 0
    /// The search_path under which its text was read.
    var path: UInt16 = 0

    /// How many ReadyForQuery a sync or a summary awaits.
    var ends: UInt32 {
        get { rowLimit }
        set { rowLimit = newValue }
    }

    /// A summary: statements that are not answered yet.
    var count: UInt64 {
        get { portalName }
        set { portalName = newValue }
    }

    /// A summary: how many of them belong to the Query message that it begins in.
    var first: UInt64 {
        get { statementName }
        set { statementName = newValue }
    }

    /// Whether an answer of its own is awaited that settles a statement.
    var isMetered: Bool {
        switch kind {
        case .statement, .functionCall: !flags.contains(.unmetered)
        case .extended: flags.contains(.executes) && !flags.contains(.unmetered)
        default: false
        }
    }
}

/// What running a statement does to its session.
struct Effect: BitwiseCopyable {
    /// PREPARE, EXECUTE, DEALLOCATE: the name's key.
    var name: UInt64 = 0
    /// PREPARE: what is prepared.
    var pattern: PatternHandle = 0
    /// SET and RESET of the search_path: what it becomes.
    var path: UInt16 = 0
    var kind = StatementKind.unknown
    var flags = Flags(rawValue: 0)

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        static let setsPath = Flags(rawValue: 1)
        /// SET LOCAL.
        static let isLocal = Flags(rawValue: 2)
        /// A WITH query that writes.
        static let modifies = Flags(rawValue: 4)
    }
}

/// A statement that has been parsed.
struct Prepared: BitwiseCopyable {
    var effect = Effect()
    var pattern: PatternHandle = 0
    var kind = StatementKind.unknown

    /// Whether PostgreSQL runs it row by row as the client asks, and ends it with its portal (`PORTAL_ONE_SELECT`).
    var isSelect: Bool {
        switch kind {
        case .select, .values, .table, .with: !effect.flags.contains(.modifies)
        default: false
        }
    }
}

/// A bound statement: PostgreSQL documentation, "Extended Query".
struct Portal: BitwiseCopyable {
    var statement = Prepared()
    var state = State(rawValue: 0)
    /// The row limit of the last Execute.
    var rowLimit: UInt32 = 0
    /// Bytes of Parse and Bind.
    var bytes: UInt32 = 0
    var price: Int64 = 0
    /// When the first Execute was sent.
    var started = Timestamp.epoch
    /// Server time of the runs so far, ns.
    var elapsed: Int64 = 0

    struct State: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        static let exists = State(rawValue: 1)
        /// An Execute was sent.
        static let charged = State(rawValue: 2)
        /// PortalSuspended was the last answer.
        static let suspended = State(rawValue: 4)
        /// CommandComplete came; the portal stays until it is closed, replaced, or its transaction ends.
        static let completed = State(rawValue: 8)
        /// The end of its statement was reported, one way or another.
        static let settled = State(rawValue: 16)
        /// An Execute was answered.
        static let ran = State(rawValue: 32)
    }
}

extension StatementKind {
    /// Whether running it does nothing to names, to the search_path or to portals, and it stands for itself.
    var isPlain: Bool {
        switch self {
        case .with, .prepare, .execute, .deallocate, .deallocateAll, .discardAll, .commit, .rollback, .set: false
        default: true
        }
    }
}
