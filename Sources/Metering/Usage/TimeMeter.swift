// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
import PostgresWire

/// What time says about charges (`Documentation/units.md`, "Time"), since it was last taken, and statements that wait to be settled
/// by it.
public struct TimeMeter {
    /// What this worker knows that it did not tell before.
    public private(set) var evidence = TimeEvidence()
    /// Statements that wait for settlement.
    public private(set) var long: [LongStatement] = []
    /// Long statements that found no room: what their time is worth stays possible.
    public private(set) var unsettled: UInt64 = 0
    /// How long statements took, where only the end tells what is usual: in a replay.
    public private(set) var paces = PaceLog(places: 0)
    /// The same, at hand for every statement.
    private(set) var logsPaces = false
    /// Whose pace of the current second is to be gathered.
    private var paced: [PrincipalHandle] = []

    /// Statements that wait for settlement, at most.
    private let mostLong: Int

    /// Nothing is known yet; at most `most` statements wait for settlement at once.
    init(most: Int = 1 << 20) { mostLong = most }

    /// A statement that waits for settlement.
    mutating func add(_ statement: LongStatement) {
        guard long.count < mostLong else {
            // It stays possible.
            unsettled &+= 1
            return
        }
        long.append(statement)
    }

    /// A transaction that others may have waited for.
    mutating func add(_ holder: TimeEvidence.Holder) {
        guard holder.end &- holder.start >= TimeEvidence.shortestWait * 9 / 10 else { return }
        evidence.add(holder)
    }

    /// Another second began for a principal: its pace of the one before is evidence.
    ///
    /// - Parameter tenant: the user, by the hash of the name.
    @inline(never)
    mutating func turn(_ payer: Slot<Principal>, of tenant: Fingerprint, to second: Int64) {
        evidence.add(payer.value.pace, of: tenant, second: payer.value.paceSecond)
        (payer.value.pace, payer.value.paceSecond) = (Pace(), second)
        guard !payer.value.isPaced else { return }
        payer.value.isPaced = true
        paced.append(payer.handle)
    }

    /// A principal goes: its pace of the current second is part of the evidence all the same.
    mutating func leave(_ payer: Slot<Principal>, of tenant: Fingerprint) {
        if payer.value.isPaced { turn(payer, of: tenant, to: .min) }
    }

    /// The current second's paces are part of the evidence, too.
    mutating func gather(_ principals: borrowing PrincipalRegistry) {
        for handle in paced {
            let payer = principals.slot(handle)
            guard payer.value.isPaced else { continue }
            turn(payer, of: principals.tenant(of: payer), to: .min)
            payer.value.isPaced = false
        }
        paced.removeAll(keepingCapacity: true)
    }

    // MARK: The log of a replay

    /// Keeps how long statements took, to compare them at the end.
    mutating func logPaces() { (paces, logsPaces) = (PaceLog(places: 1 << 10), true) }

    /// Notes how long an execution took, where no duration is known to be usual; returns what is to be kept now.
    @inline(__always)
    mutating func log(_ event: StatementEvent, of owner: Int32) -> PaceLog.Cell? {
        guard event.kind.isPlannable, event.pattern > 0 else { return nil }
        return paces.add(owner, event.pattern, event.duration, at: event.ended.time)
    }

    /// Keeps what was counted of one pair in one second.
    mutating func keep(_ pace: Pace, of key: PaceLog.Key) { paces.keep(pace, of: key) }

    /// Takes out what is being counted.
    mutating func takeCells() -> [PaceLog.Cell] { paces.takeCells() }

    // MARK: Settling

    /// What is known, which is told now.
    mutating func takeEvidence() -> TimeEvidence {
        defer { evidence = TimeEvidence() }
        return evidence
    }

    /// Statements that ended before a time, ns, which are to be settled now.
    mutating func takeLong(before end: Int64) -> [LongStatement] {
        let taken = long.filter { $0.ended < end }
        if !taken.isEmpty { long.removeAll { $0.ended < end } }
        return taken
    }

    /// Patterns and principals are gone: what is to be settled is that of their heirs.
    mutating func fold(
        patterns: [PatternHandle: PatternHandle],
        principals: [PrincipalHandle: PrincipalHandle],
        in registry: borrowing PrincipalRegistry
    ) {
        for index in long.indices {
            if let heir = patterns[long[index].pattern] { long[index].pattern = heir }
            guard let heir = principals[long[index].principal] else { continue }
            let payer = registry.slot(heir)
            long[index].principal = heir
            long[index].tenant = registry.tenant(of: payer)
            long[index].database = payer.value.databaseIndex
        }
        if !principals.isEmpty { paced.removeAll { principals[$0] != nil } }
    }
}
