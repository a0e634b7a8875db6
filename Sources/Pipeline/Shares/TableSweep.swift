// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import Quotas

/// Where the search for references stands.
///
/// What is to make room is first taken out of reach, so that no new reference to it can arise, then sessions are visited,
/// some at a time between packets: what one of them refers to stays. The rest is removed at the end.
struct TableSweep {
    /// The flow that is visited next; `nil`: nothing is condemned.
    var next: Int?
    /// Names of applications that were taken out of reach, with their numbers.
    var applications: [String: Int32] = [:]
}

extension Analyser where Recorder: ~Copyable {
    /// Makes room in tables that are crowded: a part of the work at a time.
    @inline(never)
    mutating func sweepTables(most visits: Int = 16_384) {
        guard books.isSweeping || books.beginSweep() else { return }
        var flow = books.sweep.next ?? 0
        let end = books.flows.highWater
        var left = visits
        while flow < end, left > 0 {
            left -= sessions.tellReferences(at: flow, to: &books)
            if let note = books.flows.occupant(at: flow) { books.isReferred(application: note.value.application) }
            flow += 1
        }
        books.sweep.next = flow
        guard flow >= end else { return }
        let gone = books.endSweep()
        if !gone.isEmpty { sessions.forgetShared { gone[$0] != nil } }
    }
}

extension Books: ReferenceSink where Recorder: ~Copyable {
    var isSweeping: Bool { sweep.next != nil }

    mutating func isReferred(pattern: PatternHandle) { patterns.spare(pattern) }

    mutating func revived(_ pattern: PatternHandle) { patterns.spare(pattern) }

    mutating func isReferred(principal: PrincipalHandle) {
        guard principal > 0, principals[principal].isCondemned else { return }
        _ = knownPrincipal(principals[principal].key)
    }

    mutating func isReferred(application: Int32) {
        guard !sweep.applications.isEmpty, application > 0 else { return }
        let name = applications[Int(application)]
        if let number = sweep.applications.removeValue(forKey: name) { applicationIndex[name] = number }
    }

    /// Takes out of reach what should make room; false: nothing should.
    mutating func beginSweep() -> Bool {
        wantsSweep = false
        let hasPatterns = patterns.condemn()
        let keys = principalShares.condemn(principals)
        for key in keys { principalIndex[key] = nil }
        if applications.count >= Self.mostApplications, freeApplications.isEmpty {
            sweep.applications = applicationIndex.filter { $0.value > 0 }
            applicationIndex = ["": 0]
        }
        guard hasPatterns || !keys.isEmpty || !sweep.applications.isEmpty else {
            // It is tried again when there is more to be removed.
            return false
        }
        knownLogins.removeAll()
        sweep.next = 0
        wantsSweep = true
        return true
    }

    /// Of whom statements wait to be settled, the account must be there then.
    private mutating func spareUnsettled() {
        guard principalShares.hasCondemned else { return }
        for long in longStatements { isReferred(principal: long.principal) }
    }

    /// Removes what nothing refers to; returns patterns that are gone, with what stands for them.
    mutating func endSweep() -> [PatternHandle: PatternHandle] {
        sweep.next = nil
        keepPaces()
        // Or an owner would be gone before what was moved is the owner's.
        finishMoves()
        spareUnsettled()
        for (_, number) in sweep.applications {
            applications[Int(number)] = ""
            freeApplications.append(number)
        }
        sweep.applications = [:]
        let (keys, hash) = (owners, hash)
        var gone = patterns.removeCondemned { Self.otherFingerprint(keys.key(of: $0), hash) }
        let payers = removePrincipals(&gone)
        // What stood for a pattern may be gone with its user: what is kept goes on to the last of them.
        for (pattern, heir) in gone {
            guard var last = gone[heir] else { continue }
            while let next = gone[last] { last = next }
            gone[pattern] = last
        }
        if !gone.isEmpty { pricing?.forget(gone) }
        for pattern in gone.keys { samples.remove(patterns.place(of: pattern)) }
        if !gone.isEmpty || !payers.isEmpty { fold(patterns: gone, principals: payers) }
        // Only now: a newcomer in the place of what is gone would be taken for it.
        patterns.giveBack()
        for payer in payers.keys { principals.give(payer) }
        wantsSweep = patterns.isCrowded || principalShares.isCrowded
        return gone
    }

    /// Patterns and principals are gone: what is kept of them, and not handed over yet, is that of their heirs.
    mutating func fold(patterns: [PatternHandle: PatternHandle], principals: [PrincipalHandle: PrincipalHandle]) {
        activity?.fold(patterns: patterns, principals: principals)
        spend.fold(patterns: patterns, principals: principals)
        foldLong(patterns: patterns, principals: principals)
        guard !principals.isEmpty else { return }
        active.removeAll { principals[$0] != nil }
        paced.removeAll { principals[$0] != nil }
    }

    /// The fingerprint that stands for all other patterns of a user.
    static func otherFingerprint(_ user: Fingerprint, _ hash: KeyedHash) -> Fingerprint {
        Fingerprint(high: hash.hash(user.high, 0x6F74_6865_7273), low: hash.hash(0x6F74_6865_7273, user.low))
    }

    private mutating func removePrincipals(
        _ gone: inout [PatternHandle: PatternHandle]
    ) -> [PrincipalHandle: PrincipalHandle] {
        var heirs: [PrincipalHandle: PrincipalHandle] = [:]
        var forgotten: Set<Int32> = []
        for handle in principalShares.takeCondemned() {
            let owner = principals[handle].owner
            let hasOthers = principalShares.lists.weight(of: owner) > 0
            let heir = hasOthers ? rest(of: handle) : 0
            if isWatched, isMetered, principals[handle].user != nil {
                // The ledger is told where it was used, before that is forgotten.
                if let usage = usage(of: handle) { leftUsage.append(usage) }
            }
            principals[heir].counts.add(principals[handle].counts)
            principals[heir].account.add(principals[handle].account)
            heirs[handle] = heir
            leavePace(of: handle)
            // Blank at once: reports walk over free slots too.
            principals[handle] = Principal()
            guard !hasOthers, forgotten.insert(owner).inserted else { continue }
            principalShares.forgotten &+= 1
            for (old, new) in patterns.disown(owner, Self.otherFingerprint(.unknown, hash)) { gone[old] = new }
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
            pricing?.forget(user)
            owners.forget(user)
        }
    }

    /// The principal that stands for all other addresses of the user of another one, in its database.
    private mutating func rest(of handle: PrincipalHandle) -> PrincipalHandle {
        let other = principals[handle]
        let server = other.server.map { hash.hash($0.high ^ UInt64($0.port), $0.low) } ?? 0
        let key = restKey(owners.key(of: other.owner), other.databaseIndex, server)
        if let known = knownPrincipal(key) { return known }
        guard let heir = principals.take() else { return 0 }
        principalIndex[key] = heir
        principals[heir].user = other.user
        principals[heir].database = other.database
        (principals[heir].server, principals[heir].isPossible) = (other.server, other.isPossible)
        (principals[heir].databaseIndex, principals[heir].roleIndex) = (other.databaseIndex, other.roleIndex)
        principals[heir].path = other.path
        (principals[heir].key, principals[heir].owner, principals[heir].isRest) = (key, other.owner, true)
        principals[heir].account.isMetered = isMetered
        principalShares.lists.append(principals.place(of: heir), to: other.owner)
        return heir
    }
}
