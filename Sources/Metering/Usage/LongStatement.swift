// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
public import PostgresWire

/// A proven statement whose time is worth more than its pattern's price: what of that it is charged is known once all
/// workers have told what else ran meanwhile.
public struct LongStatement: BitwiseCopyable, Sendable {
    /// Who pays.
    public internal(set) var principal: PrincipalHandle
    /// What ran.
    public internal(set) var pattern: PatternHandle
    /// The user, by the hash of the name.
    var tenant: Fingerprint
    /// The connection's number.
    var session: UInt64
    /// Index into the table of database names.
    public internal(set) var database: Int32
    /// When it was sent and when its answer ended, ns since the epoch.
    public internal(set) var started: Int64, ended: Int64
    /// Server time, ns.
    var duration: Int64
    /// Micro-units charged as proven so far.
    var price: Int64
    /// Part of the time may have been spent waiting, which the wire does not tell: for a flush to disk, a pooler's
    /// connection, the client.
    var mayWait: Bool

    /// Bytes of one that waits.
    public static var bytesOfEntry: Int { MemoryLayout<LongStatement>.stride }

    /// Micro-units charged as possible on top of ``price``.
    var possible: Int64 { BusyTime.floor(duration) - price }

    /// What is to be added to the proven and to the possible charge.
    public func settlement(_ evidence: TimeEvidence, database: String) -> (low: Int64, high: Int64) {
        let load = evidence.load(on: tenant, from: started, to: ended)
        let floor = max(price, BusyTime.floor(duration, load: load))
        let waited =
            mayWait || evidence.mayHaveWaited(session: session, database: database, from: started, to: ended)
        return (waited ? 0 : floor - price, floor - price - possible)
    }
}
