// SPDX-License-Identifier: Apache-2.0
import Capture
import Costs
import Domain
import Metering
import Packets
import PostgresWire
import Quotas

/// A worker of a live capture between two packets: what others may ask of it, and what they may tell it.
///
/// It is what the closures in a worker's mailbox get.
protocol WorkerState: WorkerTurns, ~Copyable {
    // MARK: Questions

    /// All that was counted, and open sessions.
    mutating func snapshot() -> WorkerSnapshot
    /// Plain counts; the greatest delay counts anew afterwards.
    mutating func counters() -> CountersSnapshot
    /// What each known user did.
    mutating func countsByUser() -> [String: PrincipalCounts]
    /// Statements as a server counts them.
    mutating func seenCalls() -> [SeenCalls]
    /// How many sessions are open.
    mutating func sessionCounts() -> SessionCounts
    /// Connections that are open.
    mutating func seenConnections() -> [SeenConnection]
    /// Sessions whose owner is in question.
    mutating func unknownSessions() -> [UnknownSession]
    /// What a user spent most on in the current hour, `most` patterns.
    mutating func spending(of user: String, most: Int) -> [PatternSpend]
    /// Hands over what was run since the last time.
    mutating func handOverActivity()

    // MARK: Commands

    /// Statements cost this from now on.
    mutating func apply(_ prices: PriceList)
    /// Connections of these poolers to servers are passed over from now on.
    mutating func ignoreServerSide(of poolers: PoolerAddresses)
    /// What is used at other servers is possible from now on, not proven.
    mutating func prove(_ servers: NamedServers)
    /// What became of sessions whose owner was in question.
    mutating func take(_ resolutions: [SessionResolution])
    /// Prices that were found.
    mutating func take(_ answers: [PriceAnswer])
    /// Settings of roles.
    mutating func take(_ roles: RoleFacts)
    /// Hands over how long patterns took.
    mutating func handOverObservations()
}

/// What a worker does by itself, turn after turn, around what its mailbox holds: see ``WorkerHandle/work(on:_:)``.
protocol WorkerTurns: ~Copyable {
    /// What to wait for, besides the mailbox.
    var descriptors: [Int32] { get }
    /// How long to wait for it at most, ms.
    var timeout: Int32 { get }
    /// Takes the packets that are there, or a good part of them, and hands over what is due.
    mutating func takePackets() throws(CaptureError)
    /// Does what the packets and the mailbox left to do.
    mutating func tidy()
    /// Takes what passed before now: the worker ends.
    mutating func takeRest() throws(CaptureError)
    /// Settles sessions whose owner was told: all packets from before that are here.
    mutating func settleRest()
    /// Ends, and hands over all that is left; returns what answers from now on.
    mutating func finish() -> FinalWorkerState
}

/// What a worker had seen at one time.
struct WorkerSnapshot: Sendable {
    var result: ReplayResult
    var capture: CaptureSummary
    var cpu: Double
    var memory: [TableMemory] = []
    var sessions: [SessionStatus] = []
}

/// What answers for a worker that has ended: its counts stay, nothing of it is open, and nothing can be changed.
struct FinalWorkerState: WorkerState, Sendable {
    var last = WorkerSnapshot(
        result: ReplayResult(policy: .standard, capture: CaptureSummary(), consumed: 0),
        capture: CaptureSummary(),
        cpu: 0
    )
    var counts = CountersSnapshot()
    var users: [String: PrincipalCounts] = [:]
    var calls: [SeenCalls] = []

    func snapshot() -> WorkerSnapshot { last }
    func counters() -> CountersSnapshot { counts }
    func countsByUser() -> [String: PrincipalCounts] { users }
    func seenCalls() -> [SeenCalls] { calls }
    func sessionCounts() -> SessionCounts { SessionCounts() }
    func seenConnections() -> [SeenConnection] { [] }
    func unknownSessions() -> [UnknownSession] { [] }
    func spending(of user: String, most: Int) -> [PatternSpend] { [] }
    func handOverActivity() {}

    func apply(_ prices: PriceList) {}
    func ignoreServerSide(of poolers: PoolerAddresses) {}
    func prove(_ servers: NamedServers) {}
    func take(_ resolutions: [SessionResolution]) {}
    func take(_ answers: [PriceAnswer]) {}
    func take(_ roles: RoleFacts) {}
    func handOverObservations() {}

    var descriptors: [Int32] { [] }
    var timeout: Int32 { 0 }
    func takePackets() {}
    func tidy() {}
    func takeRest() {}
    func settleRest() {}
    func finish() -> FinalWorkerState { self }
}
