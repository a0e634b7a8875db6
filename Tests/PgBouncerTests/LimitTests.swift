// SPDX-License-Identifier: Apache-2.0
import Foundation
import PgBouncer
import Quotas
import TestKit
import Testing

extension RealPoolerTests {
    @Test func `PgBouncer keeps the contract of backends`() throws {
        let pooler = try RealPooler()
        try EnforcementBackendContract.check(
            .init(
                make: { PgBouncerBackend(pooler.options(), now: now()) },
                limit: pooler.written,
                users: ["ann", "ben"],
                stranger: "eve",
                isReal: true
            )
        )
    }

    @Test(arguments: [false, true])
    func `a limit bites within 8 s and lifts within 2 s, and no client sees an error`(leastRights: Bool) throws {
        let pooler = try RealPooler()
        let options = pooler.options(user: leastRights ? "stat" : "adm", globals: leastRights, pid: leastRights)
        let backend = PgBouncerBackend(options, now: now())
        let clients = try pooler.load("ann", seconds: 24)
        // As old as connections are that a limit finds.
        #expect(try eventually(5) { try pooler.connections("ann") == 20 } != nil)
        Thread.sleep(forTimeInterval: 5)
        let wanted = wants(1, [("ann", 5)])
        let started = Date()
        var states: [EnforcementState] = []
        let gone = try eventually(12) {
            let outcome = backend.apply(wanted, now: now())
            #expect(outcome.problem == nil, "\(outcome.problem ?? "")")
            states.append(outcome.state("ann") ?? .failed)
            return try pooler.connections("ann") <= 5
        }
        let seconds = try #require(gone)
        print("PgBouncer, \(leastRights ? "SHOW and SIGHUP" : "console"): 20 to 5 connections in \(seconds) s")
        #expect(seconds <= 8)
        #expect(states.first == .draining)
        #expect(eventually(3) { backend.apply(wanted, now: now()).state("ann") == .enforced } != nil)
        #expect(try eventually(2) { try pooler.setting("server_lifetime") == "1800" } != nil)
        #expect(backend.apply(wanted, now: now()).drains == 1)
        // It stays so.
        while Date().timeIntervalSince(started) < 10 {
            #expect(try pooler.connections("ann") <= 5)
            #expect(backend.apply(wanted, now: now()).state("ann") == .enforced)
            usleep(500_000)
        }
        #expect(backend.apply(wanted, now: now()).loads == 1, "nothing changed, so nothing was loaded")
        #expect(backend.apply(wants(2, []), now: now()).state("ann") == .released)
        let back = try eventually(5) { try pooler.connections("ann") > 15 }
        print("PgBouncer: released after \(back ?? -1) s")
        #expect(try #require(back) < 2)
        let report = try clients.wait()
        #expect(report.contains("number of failed transactions: 0") && !report.contains("aborted"), "\(report)")
        let files = try FileManager.default.contentsOfDirectory(atPath: pooler.folder.file("own"))
        #expect(files.sorted() == ["globals.ini", "limits.ini"], "no draft is left")
    }

    @Test func `statement pooling is limited as transaction pooling is`() throws {
        let pooler = try RealPooler(settings: ["pool_mode = statement"])
        let clients = try pooler.load("ann", seconds: 12, clients: 10)
        #expect(try eventually(5) { try pooler.connections("ann") == 10 } != nil)
        let backend = PgBouncerBackend(pooler.options(), now: now())
        let outcome = EnforcementBackendContract.settle(backend, wants(1, [("ann", 2)]), in: [.enforced])
        #expect(outcome.state("ann") == .enforced && outcome.standing("ann")?.observed ?? 9 <= 2)
        #expect(try pooler.connections("ann") <= 2)
        #expect(backend.releaseAll(now: now()) == nil)
        let report = try clients.wait()
        #expect(report.contains("number of failed transactions: 0") && !report.contains("aborted"), "\(report)")
    }

    @Test func `session pooling is limited in part, and says why`() throws {
        let pooler = try RealPooler(users: ["ann = pool_mode=session max_user_connections=15"])
        let clients = try pooler.load("ann", seconds: 6, clients: 10)
        #expect(try eventually(4) { try pooler.connections("ann") == 10 } != nil)
        let backend = PgBouncerBackend(pooler.options(), now: now())
        let outcome = EnforcementBackendContract.settle(backend, wants(1, [("ann", 5)]))
        #expect(outcome.standing("ann")?.observed == 10)
        #expect(outcome.state("ann") == .partial)
        #expect(outcome.standing("ann")?.reason.contains("session") == true)
        #expect(outcome.drains == 0, "others would pay for nothing")
        #expect(pooler.folder.text("own/limits.ini").contains("ann = pool_mode=session max_user_connections=5\n"))
        try clients.wait()
        #expect(backend.releaseAll(now: now()) == nil)
        #expect(pooler.folder.text("own/limits.ini").contains("\nann = pool_mode=session max_user_connections=15\n"))
    }

    @Test func `long transactions are not broken off, and the limit is said to hold in part`() throws {
        let pooler = try RealPooler()
        let backend = PgBouncerBackend(pooler.options(), now: now())
        try pooler.folder.write("select pg_sleep(14);\n", to: "script.sql")
        let clients = try ChildProcess.Running(
            ["pgbench", "-n", "-f", pooler.folder.file("script.sql"), "-c", "4", "-t", "1", pooler.parameters("ann")],
            in: pooler.folder
        )
        #expect(try eventually(5) { try pooler.connections("ann") == 4 } != nil)
        let wanted = wants(1, [("ann", 1)])
        #expect(backend.apply(wanted, now: now()).state("ann") == .draining)
        let outcome = EnforcementBackendContract.settle(backend, wanted, in: [.partial])
        #expect(outcome.state("ann") == .partial)
        #expect(try pooler.setting("server_lifetime") == "1800")
        try clients.wait()
    }

    @Test func `a drain that is cut short gives the operator's lifetime back`() throws {
        for globals in [false, true] {
            let pooler = try RealPooler()
            var backend: PgBouncerBackend? = PgBouncerBackend(pooler.options(globals: globals), now: now())
            let clients = try pooler.load("ann", seconds: 3, clients: 10)
            #expect(try eventually(5) { try pooler.connections("ann") == 10 } != nil)
            #expect(backend?.apply(wants(1, [("ann", 2)]), now: now()).state("ann") == .draining)
            #expect(try pooler.setting("server_lifetime") == "5")
            if globals {
                #expect(backend?.releaseAll(now: now()) == nil)
            } else {
                backend = nil
            }
            #expect(try pooler.setting("server_lifetime") == "1800")
            // What somebody else left is undone by the first load.
            try pooler.console("SET server_lifetime=5")
            backend = PgBouncerBackend(pooler.options(globals: globals), now: now())
            _ = backend?.apply(wants(2, []), now: now())
            #expect(try pooler.setting("server_lifetime") == "1800")
            try clients.wait()
        }
    }
}
