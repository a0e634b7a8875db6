// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PostgresClient
import Quotas
import TestKit
import Testing

@testable import RoleLimit

@Suite(.serialized, .enabled(if: PostgresServer.programs != nil, "PostgreSQL is not installed: Scripts/bootstrap test"))
struct RoleLimitTests {
    static let server = Result { () throws -> PostgresServer in
        let server = try PostgresServer()
        try server.ask("create role \"keeper\" login createrole; grant pg_read_all_stats, pg_signal_backend to keeper")
        for role in ["ann", "ben", "\"odd \"\"name\""] {
            try server.ask("create role \(role) login connection limit 9")
        }
        try server.ask("create role cat login; create role rep login replication; create role boss login superuser")
        return server
    }

    private func options(_ server: PostgresServer, _ folder: ScratchFolder) -> RoleLimitOptions {
        RoleLimitOptions(server: server.parameters(user: "keeper"), stateFile: folder.file("roles"))
    }

    private func limit(_ role: String, _ server: PostgresServer) throws -> Int? {
        let text = try server.ask("select rolconnlimit from pg_roles where rolname = $$\(role)$$")
        return Int(text)
    }

    private func wants(_ generation: UInt64, _ limits: [(String, Int)], seconds: Int64 = 60) -> WantedLimits {
        EnforcementBackendContract.wants(generation, limits, seconds: seconds)
    }

    @Test func `roles keep the contract of backends`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        try EnforcementBackendContract.check(
            .init(
                make: { RoleLimitBackend(options(server, folder)) },
                limit: { role in try limit(role, server).flatMap { $0 == 9 || $0 == -1 ? nil : $0 } },
                users: ["ann", "ben"],
                stranger: "eve",
                isReal: true
            )
        )
    }

    @Test func `a role is limited only while somebody would lift it, and never by an older decision`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        var options = options(server, folder)
        var absence: String? = "no guard"
        options.guardAbsence = { absence }
        options.guardPatience = 1
        func now() -> Timestamp { EnforcementBackendContract.now() }
        let backend = RoleLimitBackend(options)
        var outcome = backend.apply(wants(5, [("ann", 2)]), now: now())
        #expect(outcome.users.map(\.state) == [.skipped] && outcome.problem == "no guard")
        #expect(try limit("ann", server) == 9)
        absence = nil
        _ = backend.apply(wants(6, [("ann", 2)]), now: now())
        #expect(try limit("ann", server) == 2)
        // Started again, it still knows what it carried out.
        let restarted = RoleLimitBackend(options)
        outcome = restarted.apply(wants(5, [("ann", 1)]), now: now())
        #expect(outcome.problem?.contains("older") == true)
        #expect(try limit("ann", server) == 2)
        absence = "no guard"
        outcome = restarted.apply(wants(7, [("ann", 1), ("ben", 1)]), now: now())
        #expect(try limit("ann", server) == 2 && limit("ben", server) == 9)
        Thread.sleep(forTimeInterval: 2.1)
        _ = restarted.apply(wants(7, [("ann", 1)]), now: now())
        #expect(try limit("ann", server) == 9, "nobody came back who would lift it")
    }

    @Test func `roles whose names look alike are limited apart, by their bytes`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        // One accent in two ways, and the text that stands for the second one as a name of its own.
        let names: [[UInt8]] = [
            Array("caf\u{E9}".utf8), Array("cafe\u{301}".utf8), Array("cafe\u{FFFD}cc\u{FFFD}81".utf8),
        ]
        func hex(_ name: [UInt8]) -> String { name.map { String(format: "%02x", $0) }.joined() }
        func call(_ what: String, _ name: [UInt8]) throws {
            let text = "convert_from('\\x\(hex(name))', 'SQL_ASCII')"
            try server.ask("do $do$ begin execute format('\(what)', \(text)); end $do$")
        }
        func limits() throws -> [String] {
            try names.map { name in
                try server.ask(
                    "select rolconnlimit from pg_roles where convert_to(rolname::text, 'SQL_ASCII') = '\\x\(hex(name))'"
                )
            }
        }
        for name in names { try call("create role %I login connection limit 9", name) }
        defer { for name in names { try? call("drop role %I", name) } }
        let backend = RoleLimitBackend(options(server, folder))
        for (index, name) in names.enumerated() {
            let wanted = wants(UInt64(index + 1), [(String(accountName: name.rawSpan), 2)])
            let outcome = backend.apply(wanted, now: EnforcementBackendContract.now())
            #expect(
                outcome.users.filter { $0.state == .enforced }.map(\.user) == wanted.limits.map(\.user),
                "\(outcome)"
            )
            #expect(try limits() == names.indices.map { $0 == index ? "2" : "9" })
        }
        _ = backend.apply(wants(9, [], seconds: -1), now: EnforcementBackendContract.now())
        #expect(try limits() == names.map { _ in "9" })
    }

    @Test func `a role gets back what it had, whoever finds it`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        let name = "odd \"name"
        var backend: RoleLimitBackend? = RoleLimitBackend(options(server, folder))
        let outcome = backend?.apply(
            wants(1, [(name, 2), ("cat", 3), ("rep", 1), ("boss", 1), ("keeper", 1)]),
            now: EnforcementBackendContract.now()
        )
        #expect(try limit(name, server) == 2 && limit("cat", server) == 3)
        for role in ["rep", "boss", "keeper"] {
            #expect(outcome?.users.first { $0.user == role }?.state == .skipped, "\(role)")
        }
        // A limit above what the role had changes nothing.
        _ = backend?.apply(wants(2, [(name, 20), ("cat", 3)]), now: EnforcementBackendContract.now())
        #expect(try limit(name, server) == 9)
        _ = backend?.apply(wants(3, [(name, 1), ("cat", 3)]), now: EnforcementBackendContract.now())
        // Gone without a word, and started again: the lease is not over, then it is.
        backend = nil
        let next = RoleLimitBackend(options(server, folder))
        #expect(try limit(name, server) == 1)
        _ = next.apply(wants(4, [], seconds: -1), now: EnforcementBackendContract.now())
        #expect(try limit(name, server) == 9 && limit("cat", server) == -1)
        #expect(RoleState(folder.text("roles"))?.before.isEmpty == true)
    }

    @Test func `idle sessions are ended only where that is asked for`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        let sessions = try (0..<4).map { _ in
            try PostgresConnection(server.parameters(user: "ann"), application: "test", seconds: 5)
        }
        for session in sessions { _ = try session.rows(of: "select 1", seconds: 5) }
        var settings = options(server, folder)
        let polite = RoleLimitBackend(settings)
        let outcome = polite.apply(wants(1, [("ann", 2)]), now: EnforcementBackendContract.now())
        #expect(outcome.users.first?.state == .partial && outcome.users.first?.observed == 4)
        settings.trims = true
        let strict = RoleLimitBackend(settings)
        let trimmed = EnforcementBackendContract.settle(strict, wants(2, [("ann", 2)]), in: [.enforced])
        #expect(trimmed.users.first?.state == .enforced && (trimmed.users.first?.observed ?? 9) <= 2)
        #expect(strict.releaseAll(now: EnforcementBackendContract.now()) == nil)
        #expect(try limit("ann", server) == 9)
    }

    @Test func `a server that is away is a problem, not an end`() throws {
        let folder = try ScratchFolder()
        let backend = RoleLimitBackend(
            RoleLimitOptions(server: "host=127.0.0.1 port=1", stateFile: folder.file("roles"))
        )
        let outcome = backend.apply(wants(1, [("ann", 2)]), now: EnforcementBackendContract.now())
        #expect(outcome.problem != nil && outcome.users.first?.state == .pending)
        #expect(backend.knownUsers().isEmpty)
    }

    @Test func `a lease that ran out is ended by whoever looks, and one that holds is not`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        let now = EnforcementBackendContract.now()
        _ = RoleLimitBackend(options(server, folder)).apply(wants(7, [("ann", 2)], seconds: 30), now: now)
        #expect(RoleLimitBackend(options(server, folder)).releaseExpired(now: now) == nil)
        #expect(try limit("ann", server) == 2)
        let later = Timestamp(nanoseconds: now.nanoseconds + 31_000_000_000)
        #expect(RoleLimitBackend(options(server, folder)).releaseExpired(now: later) == nil)
        #expect(try limit("ann", server) == 9)
    }

    @Test func `numbers that begin anew are heeded once the last lease is over`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        let backend = RoleLimitBackend(options(server, folder))
        let now = EnforcementBackendContract.now()
        _ = backend.apply(wants(70, [("ann", 2)], seconds: 30), now: now)
        #expect(backend.apply(wants(1, []), now: now).problem != nil)
        #expect(try limit("ann", server) == 2)
        let later = Timestamp(nanoseconds: now.nanoseconds + 31_000_000_000)
        #expect(backend.apply(wants(1, []), now: later).problem == nil)
        #expect(try limit("ann", server) == 9)
    }

    @Test func `a state that cannot be written for a while keeps nobody limited`() throws {
        let (server, folder) = (try Self.server.get(), try ScratchFolder())
        try folder.makeFolder("place")
        var settings = options(server, folder)
        settings.stateFile = folder.file("place/roles")
        let backend = RoleLimitBackend(settings)
        #expect(backend.apply(wants(1, [("ann", 2)]), now: EnforcementBackendContract.now()).problem == nil)
        try FileManager.default.removeItem(atPath: folder.file("place"))
        let outcome = backend.apply(wants(2, [("ann", 2), ("ben", 2)]), now: EnforcementBackendContract.now())
        #expect(outcome.users.first { $0.user == "ben" }?.state == .failed && outcome.problem != nil)
        #expect(try limit("ben", server) == 9, "what it had could not be kept")
        _ = backend.apply(wants(3, []), now: EnforcementBackendContract.now())
        #expect(try limit("ann", server) == 9)
        try folder.makeFolder("place")
        let healed = backend.apply(wants(4, [("ben", 2)]), now: EnforcementBackendContract.now())
        #expect(healed.problem == nil && healed.users.first { $0.user == "ben" }?.state == .enforced)
        #expect(backend.releaseAll(now: EnforcementBackendContract.now()) == nil)
    }

    @Test func `a state that was cut is refused, not guessed`() {
        var state = RoleState()
        (state.expires, state.before) = (77, ["a\nb\\c": -1, "ben": 5])
        #expect(RoleState(state.text) == state)
        for cut in 1..<state.text.count { #expect(RoleState(String(state.text.prefix(cut))) == nil) }
        #expect(RoleState("nonsense") == nil)
    }
}
