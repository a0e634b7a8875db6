// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PgBouncer
import Quotas
import TestKit
import Testing

extension RealPoolerTests {
    @Test func `a guard releases what nobody renews, with a signal alone`() throws {
        let pooler = try RealPooler()
        var backend: PgBouncerBackend? = PgBouncerBackend(pooler.options(), now: now())
        let outcome = backend.map {
            EnforcementBackendContract.settle($0, wants(1, [("ann", 1)], seconds: 2), in: [.enforced])
        }
        #expect(outcome?.state("ann") == .enforced)
        let clients = try pooler.load("ann", seconds: 8, clients: 10)
        #expect(try eventually(3) { try pooler.connections("ann") == 1 } != nil)
        backend = nil
        var `guard` = Guard(file: pooler.limits, globals: pooler.globals, pidFiles: [pooler.pidFile])
        let freed = try eventually(6) { try `guard`.check(now: now()) == .released(users: ["ann"]) }
        #expect(freed != nil)
        let back = try eventually(3) { try pooler.connections("ann") == 10 }
        print("guard: released after \(freed ?? -1) s, all connections back \(back ?? -1) s later")
        #expect(back != nil)
        #expect(try `guard`.check(now: now()) == .empty)
        #expect(pooler.works("ben"))
        try clients.wait()
    }

    @Test func `PgBouncer restarts with the file as it was left`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        let wanted = wants(1, [("ann", 2), ("ben", 3)])
        #expect(backend.apply(wanted, now: now()).state("ann") == .enforced)
        _ = backend.apply(wants(2, [("ann", 2)]), now: now())
        pooler.stop()
        try pooler.start()
        let clients = try pooler.load("ann", seconds: 3, clients: 10)
        usleep(1_500_000)
        #expect(try pooler.connections("ann") == 2, "the limit is in force from the start")
        let outcome = EnforcementBackendContract.settle(backend, wants(2, [("ann", 2)]), in: [.enforced])
        #expect(outcome.problem == nil, "\(outcome.problem ?? "")")
        #expect(outcome.state("ann") == .enforced && outcome.loads == 2, "nothing had to be loaded")
        _ = backend.apply(wants(3, [("cat", 2)]), now: now())
        #expect(!pooler.folder.text("own/limits.ini").contains("ben"), "the new process never knew that limit")
        #expect(pooler.folder.text("own/limits.ini").contains("; released\nann"))
        try clients.wait()
        // Empty, too, and one that a guard had to make.
        pooler.stop()
        try FileManager.default.removeItem(atPath: pooler.limits)
        var `guard` = Guard(file: pooler.limits, pidFiles: [pooler.pidFile])
        #expect(try `guard`.check(now: now()) == .created)
        try pooler.start()
        #expect(pooler.works("ann"))
    }

    @Test(arguments: [
        "", "[pgbouncer]\nnonsense\n", "; lease gen=1 expires=1 by=pgweir\n[users]\nann = max_user_connections=1\n",
    ])
    func `a change by hand is noticed and taken back`(text: String) throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        let wanted = wants(1, [("ann", 4)])
        #expect(backend.apply(wanted, now: now()).state("ann") == .enforced)
        try pooler.folder.write(text + "cat = max_user_connections=1\n", to: "own/limits.ini")
        let outcome = backend.apply(wanted, now: now())
        #expect(outcome.state("ann") == .enforced && outcome.problem == nil, "\(outcome.problem ?? "")")
        #expect(try pooler.written("ann") == 4 && pooler.written("cat") == nil)
        try FileManager.default.removeItem(atPath: pooler.limits)
        #expect(backend.apply(wanted, now: now()).state("ann") == .enforced)
        #expect(try pooler.written("ann") == 4)
    }

    @Test func `a lease is renewed in the file without a load`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        _ = backend.apply(wants(1, [("ann", 4)], seconds: 4), now: now())
        let before = IncludeFile.parse(Array(pooler.folder.text("own/limits.ini").utf8)).file
        let outcome = backend.apply(wants(2, [("ann", 4)], seconds: 60), now: now())
        let after = IncludeFile.parse(Array(pooler.folder.text("own/limits.ini").utf8)).file
        #expect(after.expires > before.expires + 50 && after.generation == 2)
        #expect(after.acknowledgement == before.acknowledgement && outcome.loads == 1)
        #expect(try pooler.console("SHOW DATABASES").contains { $0["database"] == after.acknowledgement })
    }

    @Test func `limits are divided among the processes, and many names come in turns`() throws {
        let pooler = try RealPooler(users: (0..<1200).map { "user\($0) = max_user_connections=50" })
        var options = pooler.options()
        // The same one twice stands for two.
        options.instances += options.instances
        let backend = PgBouncerBackend(options, now: now())
        let limits = [("ann", 5)] + (0..<1200).map { ("user\($0)", 1) }
        var outcome = backend.apply(wants(1, limits), now: now())
        #expect(outcome.standing("ann")?.connections == 2)
        #expect(outcome.users.filter { $0.state == .pending }.count == 701)
        outcome = backend.apply(wants(1, limits), now: now())
        let started = Date()
        outcome = backend.apply(wants(1, limits), now: now())
        print("1201 limits: a call with the last 201 new ones took \(Date().timeIntervalSince(started)) s")
        #expect(outcome.users.allSatisfy { $0.state == .enforced } && outcome.loads == 3)
        let again = Date()
        _ = backend.apply(wants(1, limits), now: now())
        print("1201 limits: a call without a change took \(Date().timeIntervalSince(again)) s")
    }
}
