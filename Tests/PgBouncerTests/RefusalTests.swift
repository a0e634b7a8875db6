// SPDX-License-Identifier: Apache-2.0
import Foundation
import PgBouncer
import Quotas
import TestKit
import Testing

extension RealPoolerTests {
    @Test func `users who must not be limited are not, and are told apart by the reason`() throws {
        let pooler = try RealPooler()
        var options = pooler.options()
        options.protected = ["ben"]
        let backend = PgBouncerBackend(options, now: now())
        #expect(backend.knownUsers().isSuperset(of: ["ann", "ben", "cat", "svc"]))
        #expect(!backend.knownUsers().contains("queried"))
        // As a client, so that PgBouncer has heard of the user.
        #expect(pooler.works("queried"))
        let users = ["ann", "ben", "svc", "adm", "stat", "asker", "queried", "ghost"]
        let outcome = backend.apply(wants(1, users.map { ($0, 3) }), now: now())
        #expect(outcome.problem == nil, "\(outcome.problem ?? "")")
        #expect(outcome.state("ann") == .enforced)
        // From 1.23 on, PgBouncer lists users of auth_query who logged in, and a line does them no harm.
        let isOld = try pooler.version().breaksQueriedUsers
        let skipped = users.dropFirst().filter { isOld || $0 != "queried" }
        for user in skipped { #expect(outcome.state(user) == .skipped, "\(user)") }
        #expect(outcome.standing("ben")?.reason.contains("protected") == true)
        #expect(outcome.standing("svc")?.reason.contains("all clients") == true)
        if isOld { #expect(outcome.standing("queried")?.reason.contains("auth_query") == true) }
        let text = pooler.folder.text("own/limits.ini")
        for user in skipped { #expect(!text.contains(user), "\(user)") }
        #expect(pooler.works("queried"), "its login goes on working")
        #expect(pooler.works("ann"))
        // The same without the operator's file, which a container may not have.
        options.operatorFile = nil
        options.protected = []
        let other = PgBouncerBackend(options, now: now())
        let again = other.apply(wants(2, [("svc", 1), ("asker", 1), ("ann", 3)]), now: now())
        #expect([again.state("svc"), again.state("asker"), again.state("ann")] == [.skipped, .skipped, .enforced])
    }

    @Test func `a load that fails brings the old file back, and is tried again`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        #expect(backend.apply(wants(1, [("ann", 4)]), now: now()).state("ann") == .enforced)
        let good = pooler.folder.text("own/limits.ini")
        let configuration = pooler.folder.text("pgbouncer.ini")
        let bad = configuration.replacing("[pgbouncer]", with: "ben = nonsense=1\n[pgbouncer]")
        try pooler.folder.write(bad, to: "pgbouncer.ini")
        var outcome = backend.apply(wants(2, [("ann", 4), ("cat", 2)]), now: now())
        #expect(outcome.state("cat") == .failed)
        #expect(outcome.state("ann") == .enforced, "what was loaded before still holds")
        #expect(outcome.failures == 1 && outcome.problem?.contains("did not") == true)
        #expect(pooler.folder.text("own/limits.ini") == good)
        // Not again at once.
        outcome = backend.apply(wants(2, [("ann", 4), ("cat", 2)]), now: now())
        #expect(outcome.state("cat") == .failed && outcome.failures == 1)
        try pooler.folder.write(configuration, to: "pgbouncer.ini")
        let healed = EnforcementBackendContract.settle(backend, wants(2, [("ann", 4), ("cat", 2)]), in: [.enforced])
        #expect(healed.state("cat") == .enforced && healed.problem == nil, "\(healed.problem ?? "")")
        // One that lost its place in the configuration is, too, and not loaded again each time.
        try pooler.folder.write(configuration.replacing("%include \(pooler.limits)", with: ""), to: "pgbouncer.ini")
        outcome = backend.apply(wants(3, [("ann", 2)]), now: now())
        #expect(outcome.state("ann") == .failed)
    }

    @Test func `an instance that does not take the file is not told to load it each time`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        let wanted = wants(1, [("ann", 4)])
        #expect(backend.apply(wanted, now: now()).state("ann") == .enforced)
        // It comes back with a configuration that does not include the file.
        pooler.stop()
        _ = backend.apply(wanted, now: now())
        let configuration = pooler.folder.text("pgbouncer.ini")
        try pooler.folder.write(configuration.replacing("%include \(pooler.limits)", with: ""), to: "pgbouncer.ini")
        try pooler.start()
        #expect(eventually(4) { backend.apply(wanted, now: now()).failures > 0 } != nil)
        for _ in 0..<8 {
            let outcome = backend.apply(wanted, now: now())
            #expect(outcome.state("ann") == .failed && outcome.failures == 1)
        }
        try pooler.folder.write(configuration, to: "pgbouncer.ini")
        let healed = EnforcementBackendContract.settle(backend, wanted, in: [.enforced])
        #expect(healed.state("ann") == .enforced && healed.problem == nil, "\(healed.problem ?? "")")
    }

    @Test func `names in quotes are limited where PgBouncer knows quotes`() throws {
        let pooler = try RealPooler()
        try pooler.folder.write(pooler.folder.text("users.txt") + "\"al@ice b\" \"secret\"\n", to: "users.txt")
        try pooler.console("RELOAD")
        let backend = PgBouncerBackend(pooler.options(), now: now())
        let outcome = backend.apply(wants(1, [("al@ice b", 3), ("ann", 2)]), now: now())
        #expect(outcome.state("ann") == .enforced && outcome.problem == nil, "\(outcome.problem ?? "")")
        #expect(outcome.state("al@ice b") == (try pooler.version().quotesNames ? .enforced : .skipped))
        #expect(backend.releaseAll(now: now()) == nil)
    }

    @Test func `a console that is away is a problem, not an end`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        #expect(backend.apply(wants(1, [("ann", 4)]), now: now()).state("ann") == .enforced)
        pooler.stop()
        let started = Date()
        let both = wants(2, [("ann", 4), ("ben", 2)])
        var outcome = backend.apply(both, now: now())
        outcome = backend.apply(both, now: now())
        #expect(outcome.problem?.contains("does not answer") == true)
        #expect(outcome.state("ben") == .pending)
        #expect(try pooler.written("ann") == 4 && pooler.written("ben") == nil)
        // What is released meanwhile is not set again by a restart.
        outcome = backend.apply(wants(3, [("ben", 2)]), now: now())
        #expect(outcome.state("ann") == .pending)
        #expect(try pooler.written("ann") == nil)
        #expect(Date().timeIntervalSince(started) < 1)
        try pooler.start()
        let back = EnforcementBackendContract.settle(backend, wants(3, [("ben", 2)]), in: [.enforced])
        #expect(back.state("ben") == .enforced && back.problem == nil, "\(back.problem ?? "")")
    }

    @Test func `a stats user without a pid file is told what is missing`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(user: "stat"), now: now())
        let outcome = backend.apply(wants(1, [("ann", 4)]), now: now())
        #expect(outcome.state("ann") == .failed)
        #expect(outcome.problem?.contains("pid file") == true)
    }

    @Test func `a user whose name Unicode takes for another is nobody`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        // U+212A, KELVIN SIGN, is canonically equivalent to K; the role has the other bytes.
        try pooler.folder.write(pooler.folder.text("users.txt") + "\"Kim\" \"secret\"\n", to: "users.txt")
        try pooler.console("RELOAD")
        let outcome = backend.apply(wants(1, [("\u{212A}im", 4)]), now: now())
        #expect(outcome.users.first?.state == .skipped)
    }
}
