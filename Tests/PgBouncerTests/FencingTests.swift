// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PgBouncer
import Quotas
import TestKit
import Testing

extension RealPoolerTests {
    @Test func `limits of a process that decides no more are refused, also after a restart`() throws {
        let pooler = try RealPooler()
        let former = PgBouncerBackend(pooler.options(), now: now())
        #expect(former.apply(wants(50, [("ann", 4)]), now: now()).state("ann") == .enforced)
        // Another process decides since, and sets other limits in the same file.
        let present = PgBouncerBackend(pooler.options(), now: now())
        #expect(present.apply(wants(60, [("ben", 2)]), now: now()).state("ben") == .enforced)
        #expect(try pooler.written("ann") == nil && pooler.written("ben") == 2)
        let text = pooler.folder.text("own/limits.ini")
        for generation: UInt64 in [50, 51, 59] {
            let outcome = former.apply(wants(generation, [("ann", 1)]), now: now())
            #expect(outcome.problem?.contains("came after") == true, "\(outcome.problem ?? "")")
            #expect(pooler.folder.text("own/limits.ini") == text, "it writes nothing")
        }
        let restarted = PgBouncerBackend(pooler.options(), now: now())
        #expect(restarted.apply(wants(59, [("ann", 1)]), now: now()).problem?.contains("came after") == true)
        #expect(pooler.folder.text("own/limits.ini") == text)
        // Told what is decided now, each of them carries it out.
        #expect(former.apply(wants(61, [("ann", 3)]), now: now()).state("ann") == .enforced)
        #expect(try pooler.written("ann") == 3 && pooler.written("ben") == nil)
    }

    @Test func `no limit is set, and none made lower, while nobody would lift it`() throws {
        let pooler = try RealPooler()
        var options = pooler.options()
        var absence: String? = "no guard"
        options.guardAbsence = { absence }
        options.guardPatience = 1
        let backend = PgBouncerBackend(options, now: now())
        var outcome = backend.apply(wants(1, [("ann", 4)]), now: now())
        #expect(outcome.state("ann") == .skipped && outcome.standing("ann")?.reason == "no guard")
        #expect(outcome.problem == "no guard" && outcome.loads == 0)
        absence = nil
        #expect(backend.apply(wants(2, [("ann", 4)]), now: now()).state("ann") == .enforced)
        absence = "no guard"
        outcome = backend.apply(wants(3, [("ann", 1), ("ben", 1)]), now: now())
        #expect(try pooler.written("ann") == 4 && pooler.written("ben") == nil)
        #expect(outcome.state("ben") == .skipped)
        // It does not come back.
        let lifted = try eventually(5) {
            _ = backend.apply(wants(3, [("ann", 1)]), now: now())
            return try pooler.written("ann") == nil
        }
        #expect(lifted != nil)
    }

    @Test func `nothing is loaded at the start, nor at the end, where PgBouncer has the file already`() throws {
        let pooler = try RealPooler()
        func loads() -> Int {
            pooler.folder.text("log").split(separator: "\n").count { $0.contains("RELOAD command issued") }
        }
        var backend = PgBouncerBackend(pooler.options(), now: now())
        _ = backend.apply(wants(1, []), now: now())
        #expect(backend.releaseAll(now: now()) == nil)
        #expect(loads() == 0, "nobody was ever limited")
        #expect(backend.apply(wants(2, [("ann", 4)]), now: now()).state("ann") == .enforced)
        #expect(loads() == 1)
        backend = PgBouncerBackend(pooler.options(), now: now())
        #expect(backend.apply(wants(3, [("ann", 4)]), now: now()).state("ann") == .enforced)
        #expect(loads() == 1)
        #expect(backend.releaseAll(now: now()) == nil)
        #expect(backend.releaseAll(now: now()) == nil)
        #expect(loads() == 2)
    }
}

struct PgBouncerTrapTests {
    private func traps(_ version: PgBouncerVersion, _ config: [String: String], _ users: Set<String> = []) -> [String] {
        PgBouncerTrap.all(version, config: config, users: users).map(\.text)
    }

    @Test func `each version's traps are told, and only where they are met`() {
        let (plain, tls) = (["server_tls_sslmode": "disable"], ["server_tls_sslmode": "prefer"])
        for version in [PgBouncerVersion(1, 18, 0), .init(1, 22, 1), .init(1, 23, 1), .init(1, 26, 1)] {
            #expect(traps(version, plain) == [], "\(version)")
        }
        for version in [PgBouncerVersion(1, 21, 0), .init(1, 22, 1), .init(1, 23, 1)] {
            #expect(
                traps(version, tls).count == 1 && traps(version, tls)[0].contains("replaces all server connections")
            )
        }
        #expect(traps(.init(1, 24, 1), tls).map { $0.contains("CVE") } == [true])
        for version in [PgBouncerVersion(1, 25, 0), .init(1, 25, 1), .init(1, 25, 2)] {
            #expect(traps(version, tls).contains { $0.contains("TLS handshake") })
            #expect(!traps(version, plain).contains { $0.contains("TLS handshake") })
        }
        #expect(traps(.init(1, 26, 1), tls) == [])
        #expect(traps(.init(1, 25, 2), plain, ["client_idle_timeout"]).count == 1)
        #expect(traps(.init(1, 25, 2), plain, ["pool_size"]) == [])
        #expect(traps(.init(1, 24, 0), plain, ["max_user_client_connections"]).contains { $0.contains("1238") })
        let asks = ["server_tls_sslmode": "disable", "auth_query": "select 1", "auth_user": "lookup"]
        #expect(
            traps(.init(1, 22, 1), asks).count == 1 && traps(.init(1, 24, 2), asks).allSatisfy { $0.contains("CVE") }
        )
        #expect(PgBouncerTrap.all(.init(1, 23, 0), config: plain).map(\.kind) == [.fatal])
    }
}
