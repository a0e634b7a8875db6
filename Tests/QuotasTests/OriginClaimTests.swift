// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import TestKit
import Testing

@Suite("Claims on origins")
struct OriginClaimTests {
    /// A node that sees packets, books what its claims say, and asks a store that it shares.
    private struct Node {
        let name: String
        var claims = OriginClaims()
        var booked: Int64 = 0

        mutating func see(_ units: Int64, of origin: Origin, at now: Int64) {
            let slot = SlotUsage(start: now / 10_000 * 10, usage: Usage(low: units, high: units))
            let usage = UserUsage(user: "anna", slots: [slot], origin: origin)
            if claims.admit(usage, at: now) { booked += units }
        }

        /// Asks for what is due: leases end by `now`; without a store the question is lost.
        mutating func turn(_ leases: inout [Origin: (holder: String, until: Int64)]?, at now: Int64) {
            let due = claims.due(at: now)
            guard leases != nil else { return }
            let answers = due.map { origin -> (Origin, ClaimAnswer) in
                let known = leases?[origin]
                let isOther = known.map { $0.holder != name } ?? false
                if isOther, known?.until ?? 0 > now { return (origin, .denied) }
                leases?[origin] = (name, now + OriginClaims.lease)
                return (origin, isOther ? .taken : .own)
            }
            booked += claims.settle(answers, asked: now).flatMap(\.slots).reduce(0) { $0 + $1.usage.low }
        }
    }

    private static let origins = (0..<5).map { number in
        Origin(
            client: Endpoint(ipv4: 0x0A00_0001 + UInt32(number), port: UInt16(1000 + number)),
            server: Endpoint(ipv4: 0x0A00_00FF, port: 5432)
        )
    }

    @Test("What waited is booked once the claim is granted, and dropped whole where another node holds it")
    func waits() {
        var leases: [Origin: (holder: String, until: Int64)]? = [:]
        var (first, second) = (Node(name: "a"), Node(name: "b"))
        let origin = Self.origins[0]
        for now in stride(from: Int64(0), to: 1000, by: 100) {
            first.see(7, of: origin, at: now)
            second.see(7, of: origin, at: now)
        }
        #expect(first.booked == 0 && second.booked == 0 && first.claims.waitingCount == 1)
        first.turn(&leases, at: 1000)
        second.turn(&leases, at: 1000)
        #expect(first.booked == 70 && second.booked == 0)
        #expect(second.claims.elsewhere == Usage(low: 70, high: 70) && second.claims.waitingCount == 0)
        first.see(7, of: origin, at: 1100)
        second.see(7, of: origin, at: 1100)
        #expect(first.booked == 77 && second.claims.elsewhere.low == 77)
        #expect(first.claims.counts == (1, 0) && second.claims.counts == (0, 1))
    }

    @Test("A client's port makes no other origin, its address and its server do")
    func origins() {
        let server = Endpoint(ipv4: 1, port: 5432)
        func origin(_ address: UInt32, _ port: UInt16, _ server: Endpoint) -> Origin {
            Origin(client: Endpoint(ipv4: address, port: port), server: server)
        }
        #expect(origin(9, 1000, server) == origin(9, 2000, server))
        #expect(origin(9, 1000, server) != origin(8, 1000, server))
        #expect(origin(9, 1000, server) != origin(9, 1000, Endpoint(ipv4: 1, port: 6432)))
    }

    @Test("With a holder that dies another one takes over after its lease, and what it saw until then is nobody's")
    func takeover() {
        var leases: [Origin: (holder: String, until: Int64)]? = [:]
        var (first, second) = (Node(name: "a"), Node(name: "b"))
        var tookOver: Int64?
        for now in stride(from: Int64(0), to: 60_000, by: 100) {
            if now < 20_000 {
                first.see(1, of: Self.origins[0], at: now)
                first.turn(&leases, at: now)
            }
            let before = second.booked
            second.see(1, of: Self.origins[0], at: now)
            second.turn(&leases, at: now)
            if second.booked > before, tookOver == nil { tookOver = now }
        }
        #expect(first.booked == 200)
        // The lease, and until it is asked for again.
        #expect((30_000...40_000).contains(tookOver ?? 0))
        #expect(first.booked + second.booked <= 600)
    }

    @Test("Without a store usage waits, within its room, and what found none is counted")
    func bounded() {
        var claims = OriginClaims()
        for number in 0..<101_000 {
            let slot = SlotUsage(start: 0, usage: Usage(low: 1, high: 2))
            let usage = UserUsage(user: "user \(number)", slots: [slot], origin: Self.origins[0])
            if claims.admit(usage, at: 0) { Issue.record("nobody said that it is ours") }
        }
        #expect(claims.waitingCount == 100_000)
        #expect(claims.lost == Usage(low: 1000, high: 2000))
        claims.close()
        #expect(claims.lost == Usage(low: 101_000, high: 202_000) && claims.waitingCount == 0)
    }

    @Test("Nodes that stall, die, return and lose their store book no packet twice", arguments: 0..<200)
    func exact(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var leases: [Origin: (holder: String, until: Int64)]? = [:]
        var kept = leases
        var nodes = ["a", "b", "c"].map { Node(name: $0) }
        var asleep: [Int64] = [0, 0, 0]
        var seen: [Origin: Int64] = [:]
        var isExact = true
        for now in stride(from: Int64(0), to: 180_000, by: 100) {
            if random.next() % 150 == 0 {
                // The store goes, with or without what it knew, and comes.
                if leases == nil { leases = kept } else { (kept, leases) = (leases, nil) }
            }
            for origin in Self.origins where random.next() % 3 == 0 {
                seen[origin, default: 0] += 1
                for index in nodes.indices where asleep[index] <= now { nodes[index].see(1, of: origin, at: now) }
            }
            for index in nodes.indices where asleep[index] <= now {
                if random.next() % 400 == 0 { asleep[index] = now + Int64(random.next() % 40_000) }
                nodes[index].turn(&leases, at: now)
            }
            if nodes.reduce(0, { $0 + $1.booked }) > seen.values.reduce(0, +) { isExact = false }
        }
        #expect(isExact)
        #expect(nodes.reduce(0) { $0 + $1.booked } > seen.values.reduce(0, +) / 8)
    }
}
