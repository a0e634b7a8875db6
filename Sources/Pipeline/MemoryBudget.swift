// SPDX-License-Identifier: Apache-2.0
import Domain
public import Metering
public import Packets
import PostgresWire

/// How much memory a daemon may take, and which table may have how much of it.
///
/// The shares leave a tenth for the program itself and for reports.
public struct MemoryBudget: Sendable, Equatable {
    /// All of it, in bytes.
    public let bytes: Int

    /// A budget; less than ``least`` is as much as that.
    public init(bytes: Int) { self.bytes = max(Self.least, bytes) }

    /// What a daemon takes that was told nothing: three quarters of its control group's limit, or ``usual`` without one.
    public init(controlGroup limit: Int?) { self.init(bytes: limit.map { $0 / 4 * 3 } ?? Self.usual) }

    /// Less than this is too little for any traffic, in bytes.
    public static let least = 128 << 20
    /// Enough for a hundred thousand patterns and connections, in bytes.
    public static let usual = 768 << 20

    /// A part of the budget, in bytes.
    private func part(_ percent: Int, of workers: Int = 1) -> Int { bytes / 100 * percent / max(1, workers) }

    /// Prices that are remembered in order to be asked for again, in bytes.
    public var prices: Int { part(6) }
    /// Prices that are kept where there is neither file nor Redis, in bytes.
    public var storedPrices: Int { part(4) }

    /// What each of some workers may hold of connections and early segments.
    ///
    /// - Parameter connections: how many connections were asked for; `nil`: as many as there is room for.
    public func reassembly(workers: Int, connections: Int?) -> ReassemblyLimits {
        var limits = ReassemblyLimits()
        limits.flows = connections ?? min(1 << 20, max(1 << 12, part(10, of: workers) / Self.connection))
        limits.heldBytes = part(8, of: workers)
        return limits
    }

    /// What each of some workers may hold of sessions.
    func sessions(workers: Int) -> SessionLimits {
        var limits = SessionLimits()
        limits.collectedBytes = part(16, of: workers)
        limits.names = max(1 << 12, part(6, of: workers) / SessionLimits.bytesOfName)
        limits.requests = max(1 << 12, part(3, of: workers) / SessionLimits.bytesOfRequest)
        return limits
    }

    /// What each of some workers may hold of what clients make up.
    func tables(workers: Int) -> TableLimits {
        TableLimits(
            patterns: part(21, of: workers) / PatternRegistry.bytesOfEntry,
            principals: part(5, of: workers) / PrincipalRegistry.bytesOfEntry,
            samples: part(4, of: workers),
            activity: part(3, of: workers) / ActivityLog.bytesOfEntry,
            prices: part(2, of: workers) / PriceLookup.bytesOfEntry,
            unsettled: part(2, of: workers) / LongStatement.bytesOfEntry
        )
    }

    /// Bytes of one connection, in all tables that have a place for each.
    static var connection: Int {
        ReassemblyLimits.bytesOfFlow + SessionLimits.bytesOfSession + FlowNotes.bytesOfEntry
    }
}

extension TableLimits {
    /// Those of a daemon that was told nothing, with one worker.
    public static var usual: TableLimits { MemoryBudget(bytes: MemoryBudget.usual).tables(workers: 1) }

    /// Those of a replay of `workers` workers that keeps about `patterns` patterns; a worker keeps at least a quarter of them,
    /// as connections may be few.
    public static func replay(workers: Int, patterns: Int = mostReplayed) -> TableLimits {
        TableLimits(patterns: max(patterns / 4, patterns / max(1, workers)), principals: 1 << 16, samples: 64 << 20)
    }

    /// Patterns that a replay keeps, if nothing else is asked for.
    public static let mostReplayed = 1 << 18
}

extension Shard where Recorder: ~Copyable {
    /// What the tables take and may take.
    var memory: [TableMemory] {
        mutating get {
            let (tcp, wire, most) = (reassembler.memory, analyser.sessions.memory, analyser.sessions.limitsOfMemory)
            let connections = tcp.connections + wire.sessions + analyser.metering.flows.bytes
            return [
                TableMemory("connections", bytes: connections, most: reassembler.flowLimit * MemoryBudget.connection),
                TableMemory("segments", bytes: tcp.segments, most: reassembler.heldLimit),
                TableMemory("messages", bytes: wire.messages, most: most.messages),
                TableMemory("requests", bytes: wire.requests, most: most.requests),
                TableMemory("names", bytes: wire.names, most: most.names),
            ] + analyser.metering.memory
        }
    }
}
