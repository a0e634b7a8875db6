// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import Quotas

/// How much was used: charges and settles the accounts of principals, and hands on what they hold.
public struct UsageMeter {
    /// What time says about charges.
    public internal(set) var time: TimeMeter
    /// Statements that the server started, by protocol.
    public private(set) var byProtocol: [3 of UInt64] = .init(repeating: 0)
    /// Whether somebody takes what is used.
    private(set) var isMetered = false
    /// Of whom there is something to take.
    private var active: [PrincipalHandle] = []
    /// Usage of principals that were removed, until it is taken.
    private var left: [UserUsage] = []

    /// Nothing was used yet; at most `unsettled` statements wait at once to be settled by their time.
    init(unsettled: Int = 1 << 20) { time = TimeMeter(most: unsettled) }

    /// What waits to be settled, and to be handed on, of the budget.
    func memory(_ limits: TableLimits) -> TableMemory {
        TableMemory(
            "usage",
            bytes: time.long.count * LongStatement.bytesOfEntry + active.count * MemoryLayout<PrincipalHandle>.stride
                + left.count * MemoryLayout<UserUsage>.stride,
            most: limits.unsettled * LongStatement.bytesOfEntry
        )
    }

    /// What is used is handed on from now on.
    mutating func meter() { isMetered = true }

    // MARK: Charging

    /// So much more may have been used: micro-units.
    @inline(__always)
    mutating func charge(_ payer: Slot<Principal>, _ amount: Int64, at time: Timestamp) {
        if payer.value.account.charge(amount, at: time) { becameActive(payer.handle) }
        payer.value.counts.cost &+= amount
    }

    /// So much more is proven to have been used, of what was charged: micro-units.
    @inline(__always)
    mutating func settle(_ payer: Slot<Principal>, _ amount: Int64, at time: Timestamp) {
        payer.value.counts.costLow &+= amount
        if payer.value.account.settle(amount, at: time) { becameActive(payer.handle) }
    }

    /// What was charged was not used: micro-units.
    @inline(__always)
    mutating func refund(_ payer: Slot<Principal>, _ amount: Int64, at time: Timestamp) {
        payer.value.counts.cost &-= amount
        if payer.value.account.refund(amount, at: time) { becameActive(payer.handle) }
    }

    /// The server started a statement.
    @inline(__always)
    mutating func note(_ wire: StatementProtocol) { byProtocol[Int(wire.rawValue)] &+= 1 }

    // MARK: Handing on

    /// There is something to take of a principal.
    @inline(never)
    mutating func becameActive(_ principal: PrincipalHandle) { if isMetered { active.append(principal) } }

    /// Whether there is something to take.
    var hasUsage: Bool { !active.isEmpty || !left.isEmpty }

    /// What users used since the last time; sessions whose user is not known keep theirs until it is.
    mutating func take(_ principals: borrowing PrincipalRegistry) -> [UserUsage] {
        var taken = left
        left = []
        for handle in active {
            if let usage = Self.usage(of: principals.slot(handle), principals.servers) { taken.append(usage) }
        }
        active.removeAll(keepingCapacity: true)
        return taken
    }

    /// A principal goes: what it used is told with where that was, before that is forgotten.
    mutating func leave(_ payer: Slot<Principal>, _ servers: ServerProof) {
        guard isMetered, payer.value.user != nil else { return }
        if let usage = Self.usage(of: payer, servers) { left.append(usage) }
    }

    /// Principals are gone.
    mutating func forget(_ gone: [PrincipalHandle: PrincipalHandle]) {
        if !gone.isEmpty { active.removeAll { gone[$0] != nil } }
    }

    /// What a principal used since the last time; `nil`: nothing, or its user is not known.
    private static func usage(of payer: Slot<Principal>, _ servers: ServerProof) -> UserUsage? {
        guard let user = payer.value.user else { return nil }
        var slots = payer.value.account.drain()
        // PgBouncer's console is no database: what is asked there is nobody's cost.
        guard !slots.isEmpty, payer.value.database != "pgbouncer" else { return nil }
        var origin: Origin?
        if servers.isDivided, let client = payer.value.address, let server = payer.value.server {
            origin = Origin(client: client, server: server)
        }
        if payer.value.isPossible || (servers.isDivided && origin == nil) {
            // From where is no longer known, so another node may book it; or its server may be anybody's.
            for index in slots.indices { slots[index].usage.low = min(0, slots[index].usage.low) }
        }
        return UserUsage(user: user, slots: slots, origin: origin)
    }
}
