// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import Quotas
import TestKit
import Testing

@testable import Metering

struct PrincipalRegistryTests {
    private static let server = Endpoint(ipv4: 1, port: 5432)

    private func resolve(
        _ registry: inout PrincipalRegistry,
        _ user: String,
        from address: UInt32,
        application: String = "",
        at server: Endpoint = server
    ) -> PrincipalRegistry.KnownLogin {
        let note = FlowNote(client: Endpoint(ipv4: address, port: 40_000), server: server, session: 1)
        let (user, database, application) = (Array(user.utf8), Array("shop".utf8), Array(application.utf8))
        let login = Login(user: user.rawSpan, database: database.rawSpan, application: application.rawSpan)
        return registry.resolve(login, on: note)
    }

    @Test func `a login is one principal for each address, and new once`() {
        var registry = PrincipalRegistry(limit: 1024, hash: .standard)
        let first = resolve(&registry, "ann", from: 1)
        let again = resolve(&registry, "ann", from: 1)
        let other = resolve(&registry, "ann", from: 2, application: "psql")
        let ben = resolve(&registry, "ben", from: 1)
        #expect(first.isNew && !again.isNew && other.isNew && ben.isNew)
        #expect(first.principal == again.principal && Set([first, other, ben].map(\.principal)).count == 3)
        let tenants = [first, other, ben].map { registry.tenant(of: registry.slot($0.principal)) }
        #expect(tenants[0] == tenants[1] && tenants[1] != tenants[2])
        let name = registry.applications[other.application]
        #expect(name == "psql")
        let database = registry.database(registry[other.principal].databaseIndex)
        #expect(database == "shop" && registry[other.principal].client == "0.0.0.2")
    }

    @Test func `addresses beyond a user's share are one principal, and others find room`() {
        var registry = PrincipalRegistry(limit: 64, hash: .standard)
        var found: Set<PrincipalHandle> = []
        for address in 1...1000 as ClosedRange<UInt32> {
            found.insert(resolve(&registry, "ann", from: address).principal)
        }
        #expect(found.count == 64 / 4 + 1 && !found.contains(0))
        let rest = found.filter { registry[$0].isRest }
        #expect(rest.count == 1)
        let ben = resolve(&registry, "ben", from: 1)
        #expect(ben.isNew && ben.principal > 0)
        let wants = registry.wantsSweep
        #expect(wants)
    }

    @Test func `whoever logs in while room is made stays, all others that nothing refers to go`() {
        var registry = PrincipalRegistry(limit: 64, hash: .standard)
        let all = (1...16 as ClosedRange<UInt32>).map { resolve(&registry, "ann", from: $0).principal }
        for number in 0..<44 as Range<UInt32> { _ = resolve(&registry, "user \(number)", from: 1) }
        // Whoever ran something since room was sought last is left alone.
        for principal in all.prefix(4) { registry[principal].counts.sent = 1 }
        let isAnyone = registry.condemn()
        #expect(isAnyone)
        registry.forgetLogins()
        let condemned = all.filter { registry[$0].isCondemned }
        #expect(!condemned.isEmpty && condemned.allSatisfy { !all.prefix(4).contains($0) })
        guard let spared = condemned.first, let place = all.firstIndex(of: spared) else { return }
        let again = resolve(&registry, "ann", from: UInt32(place + 1))
        #expect(again.principal == spared && !again.isNew)
        let gone = registry.shares.takeCondemned()
        #expect(!gone.contains(spared) && !registry[spared].isCondemned)
        #expect(Set(condemned.dropFirst()).isSubset(of: gone))
    }

    @Test func `a session whose user is asked for has a principal of its own, which becomes the owner's`() {
        var registry = PrincipalRegistry(limit: 64, hash: .standard)
        let none = registry.takeUnknown(7, since: .epoch)
        #expect(none == nil)
        registry.unknown = UnknownSessions()
        guard let own = registry.takeUnknown(7, since: .epoch) else {
            Issue.record("there is room")
            return
        }
        registry[own].counts.sent = 3
        registry[own].account.charge(5, at: .epoch)
        let ann = resolve(&registry, "ann", from: 1).principal
        let left = registry.unknown?.remove(7)
        registry.merge(own, into: ann)
        #expect(left == own && registry[ann].counts.sent == 3 && registry[own].counts.sent == 0)
        #expect(registry[ann].account.hours.map(\.high) == [5])
    }

    @Test func `what was used at a server is possible only, until that one is proven`() {
        var registry = PrincipalRegistry(limit: 64, hash: .standard)
        registry.servers.tellsApart = true
        let other = Endpoint(ipv4: 2, port: 5432)
        let (ann, here) = (resolve(&registry, "ann", from: 1).principal, resolve(&registry, "ann", from: 1, at: other))
        #expect(ann != here.principal)
        registry.take(proven: NamedServers([other]))
        for handle in [ann, here.principal] {
            registry[handle].counts.costLow = 9
            registry[handle].account.settle(9, at: .epoch)
        }
        #expect(registry[ann].isPossible && !registry[here.principal].isPossible)
        let shown = registry.reported(ann)
        #expect(shown.counts.costLow == 0 && shown.account.hours.allSatisfy { $0.low == 0 })
        #expect(registry.reported(here.principal).counts.costLow == 9)
        registry.take(proven: NamedServers([other, Self.server]))
        #expect(!registry[ann].isPossible && registry.reported(ann).counts.costLow == 9)
    }
}

struct NameTests {
    @Test func `names have numbers from 1, and those beyond the limit none`() {
        var names = NumberedNames(limit: 4)
        #expect(["a", "b", "a", "", "c"].map { names.number(of: $0) } == [1, 2, 1, 3, 0])
        #expect((0...3).map { names[$0] } == ["", "a", "b", ""])
    }

    @Test func `names that connections have stay, the numbers of others are given out again`() {
        var names = ApplicationNames()
        var numbers: [String: Int32] = [:]
        for number in 1..<ApplicationNames.limit { numbers["app\(number)"] = names.number(of: "app\(number)") }
        #expect(Set(numbers.values).count == ApplicationNames.limit - 1 && names.wantsRoom)
        #expect(names.number(of: "one more") == 0)
        let hadNone = names.condemn()
        let kept = numbers["app7"] ?? 0
        names.spare(kept)
        names.removeCondemned()
        #expect(hadNone && !names.wantsRoom && names[kept] == "app7" && names.number(of: "app7") == kept)
        let again = names.number(of: "one more")
        #expect(again > 0 && again != kept && names[again] == "one more")
        #expect(names.number(of: "") == 0)
    }
}
