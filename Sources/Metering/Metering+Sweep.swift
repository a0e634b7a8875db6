// SPDX-License-Identifier: Apache-2.0
import Domain
public import PostgresWire

/// How room is made in tables that are crowded.
///
/// What is to make room is first taken out of reach, so that no new reference to it can arise, then sessions are visited,
/// some at a time between packets: what one of them refers to stays. The rest is removed at the end.
extension Metering: ReferenceSink where Recorder: ~Copyable {
    /// Whether there is room to be made.
    public var wantsSweep: Bool { isSweeping || patterns.wantsSweep || principals.wantsSweep }

    /// Whether sessions are being visited.
    public var isSweeping: Bool { nextVisit != nil }

    /// Something refers to a pattern.
    public mutating func isReferred(pattern: PatternHandle) { patterns.spare(pattern) }

    /// A session refers to this pattern from now on, to which perhaps none did before.
    public mutating func revived(_ pattern: PatternHandle) { patterns.spare(pattern) }

    /// Something refers to a principal.
    public mutating func isReferred(principal: PrincipalHandle) { principals.spare(principal) }

    /// A connection has an application's number.
    public mutating func isReferred(application: Int32) { principals.applications.spare(application) }

    /// Takes out of reach what should make room; false: nothing should.
    public mutating func beginSweep() -> Bool {
        let hasPatterns = patterns.condemn()
        // It is tried again when there is more to be removed.
        guard principals.condemn() || hasPatterns else { return false }
        principals.forgetLogins()
        nextVisit = 0
        return true
    }

    /// Removes what nothing refers to; returns patterns that are gone, with what stands for them.
    public mutating func endSweep() -> [PatternHandle: PatternHandle] {
        nextVisit = nil
        keepPaces()
        // Or an owner would be gone before what was moved is the owner's.
        finishMoves()
        spareUnsettled()
        let owners = principals.owners
        var gone = patterns.removeCondemned { owners.key(of: $0) }
        let payers = removePrincipals(&gone)
        // What stood for a pattern may be gone with its user: what is kept goes on to the last of them.
        for (pattern, heir) in gone {
            guard var last = gone[heir] else { continue }
            while let next = gone[last] { last = next }
            gone[pattern] = last
        }
        if !gone.isEmpty { prices.requests?.forget(gone) }
        for pattern in gone.keys { samples.remove(patterns.place(of: pattern)) }
        if !gone.isEmpty || !payers.isEmpty { fold(patterns: gone, principals: payers) }
        // Only now: a newcomer in the place of what is gone would be taken for it.
        patterns.giveBack()
        for payer in payers.keys { principals.table.give(payer) }
        patterns.wantsSweep = patterns.isCrowded
        principals.endSweep()
        return gone
    }

    /// Of whom statements wait to be settled, the account must be there then.
    private mutating func spareUnsettled() {
        guard principals.shares.hasCondemned else { return }
        for long in usage.time.long { principals.spare(long.principal) }
    }

    /// Patterns and principals are gone: what is kept of them, and not handed over yet, is that of their heirs.
    mutating func fold(patterns: [PatternHandle: PatternHandle], principals: [PrincipalHandle: PrincipalHandle]) {
        activity.fold(patterns: patterns, principals: principals)
        usage.time.fold(patterns: patterns, principals: principals, in: self.principals)
        usage.forget(principals)
    }

    private mutating func removePrincipals(
        _ gone: inout [PatternHandle: PatternHandle]
    ) -> [PrincipalHandle: PrincipalHandle] {
        var heirs: [PrincipalHandle: PrincipalHandle] = [:]
        var forgotten: Set<Int32> = []
        for handle in principals.shares.takeCondemned() {
            let payer = principals.slot(handle)
            let owner = payer.value.owner
            let hasOthers = principals.shares.lists.weight(of: owner) > 0
            let heir = hasOthers ? principals.rest(of: handle) : 0
            if activity.isWatched { usage.leave(payer, principals.servers) }
            heirs[handle] = heir
            leavePace(of: handle)
            principals.merge(handle, into: heir)
            guard !hasOthers, forgotten.insert(owner).inserted else { continue }
            principals.shares.forgotten &+= 1
            for (old, new) in patterns.disown(owner) { gone[old] = new }
            samples.move(from: owner, to: 0)
        }
        forget(forgotten)
        return heirs
    }

    /// These users hold nothing any more: their numbers may be those of others, who must not have what was kept by them.
    private mutating func forget(_ users: Set<Int32>) {
        guard !users.isEmpty else { return }
        patterns.forget(users)
        for user in users {
            prices.requests?.forget(user)
            principals.owners.forget(user)
        }
    }
}
