// SPDX-License-Identifier: Apache-2.0
import Domain

/// The protocol state of one connection.
///
/// Times are those of packets.
struct Session: BitwiseCopyable {
    enum Phase: UInt8, BitwiseCopyable {
        /// Nothing is known yet.
        case fresh
        /// The client asked for encryption; one byte of answer is awaited.
        case negotiating
        /// A StartupMessage was sent.
        case authenticating
        /// Queries may come.
        case ready
        /// Nothing more can be read or is of interest.
        case opaque
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt32
        /// Began before the capture.
        static let midstream = Flags(rawValue: 1)
        /// A walsender.
        static let replication = Flags(rawValue: 2)
        /// The server awaits COPY data: Flush and Sync are ignored.
        static let copyIn = Flags(rawValue: 4)
        /// After an error in the extended protocol: the server ignores all up to the next Sync.
        static let skipping = Flags(rawValue: 8)
        /// standard_conforming_strings is off.
        static let backslashEscapes = Flags(rawValue: 16)
        /// The transaction that ends next was rolled back.
        static let rolledBack = Flags(rawValue: 32)
        /// Counted as a session.
        static let counted = Flags(rawValue: 64)
        /// The last message of the server was ReadyForQuery, and all requests were answered.
        static let idle = Flags(rawValue: 128)
        /// A principal was found.
        static let attributed = Flags(rawValue: 256)
        /// Bytes of an answer were lost since the last ReadyForQuery.
        static let doubtful = Flags(rawValue: 512)
        /// An error came since the last ReadyForQuery.
        static let erred = Flags(rawValue: 1024)
        /// The search_path was set for the open transaction only.
        static let localPath = Flags(rawValue: 2048)
        /// Messages of the extended protocol were sent since the last Sync.
        static let unsynced = Flags(rawValue: 4096)
        /// A Describe that stands by itself is among the requests.
        static let describes = Flags(rawValue: 8192)
        /// RowDescription came since the last answer's end: the server runs something.
        static let answering = Flags(rawValue: 16384)
        /// FATAL came: the server reads no more.
        static let ended = Flags(rawValue: 32768)
        /// AuthenticationOk came.
        static let authenticated = Flags(rawValue: 1 << 16)
        /// What looks like a StartupMessage was not preceded by the connection's first packet.
        static let assumedStart = Flags(rawValue: 1 << 17)
        /// A PROXY protocol header was read.
        static let proxied = Flags(rawValue: 1 << 18)
        /// The unnamed statement, or the unnamed portal, is there.
        static let unnamed = Flags(rawValue: 1 << 20)
        /// A summary is among the requests.
        static let summarizes = Flags(rawValue: 1 << 19)
        /// Statements were sent that change the encoding, and what became of them is not known yet.
        static let expectsEncoding = Flags(rawValue: 1 << 21)
        /// The client reset the connection, and all that it had sent had reached the server.
        static let wasReset = Flags(rawValue: 1 << 22)
        /// No Sync stands between the oldest request and the first mark of an end of COPY data: it was looked for.
        static let freeOfSyncs = Flags(rawValue: 1 << 23)
    }

    // In this order there is no padding between the numbers: every connection has one.
    var phase = Phase.fresh
    /// The encoding of what the client sends next, that which the server reported last, and that of the login.
    var encoding = TextEncoding.unknown
    var encodingReported = TextEncoding.unknown
    var encodingOfLogin = TextEncoding.unknown
    /// `I`, `T` or `E`, as ReadyForQuery says.
    var transaction: UInt8 = 0x49
    var flags = Flags(rawValue: 0)
    var principal: PrincipalHandle = 0
    /// Requests in the order sent; -1 when there is none.
    var firstRequest: Int32 = -1
    var lastRequest: Int32 = -1
    var requestCount: Int32 = 0
    /// Chains in the name table.
    var statements: Int32 = -1
    var portals: Int32 = -1
    /// Names in both.
    var nameCount: Int32 = 0
    /// Grows whenever a name comes to stand for something else.
    var generation: UInt32 = 0
    /// Of the requests, those that are a Sync.
    var syncCount: Int32 = 0
    var unnamedStatement = Prepared()
    var unnamedPortal = Portal()
    /// The search_path as the sink numbers it: for what is sent next, as proven, outside the transaction, and that of the login.
    var path: UInt16 = 0
    var provenPath: UInt16 = 0
    var pathOutside: UInt16 = 0
    var pathOfLogin: UInt16 = 0
    /// The end of the last statement's answer.
    var lastCompletion = Timestamp.epoch
    /// Bytes the server sent, and where the last statement's answer ended.
    var serverBytes: UInt64 = 0
    var answerStart: UInt64 = 0
    /// The StartupMessage, kept until the server accepts the login.
    var startup = Block.none
    var startupLength: UInt32 = 0
    /// Of the requests, those that mark the end of COPY data.
    var markerCount: Int32 = 0
}
