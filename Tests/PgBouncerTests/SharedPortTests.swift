// SPDX-License-Identifier: Apache-2.0
import Foundation
import PgBouncer
import Quotas
import TestKit
import Testing

extension RealPoolerTests {
    @Test func `two processes on one port have a limit between them, and lift it`() throws {
        let sockets = try ScratchFolder()
        for name in ["a", "b"] { try sockets.makeFolder(name) }
        let pooler = try RealPooler(settings: ["so_reuseport = 1", "unix_socket_dir = \(sockets.file("a"))"])
        // The last word counts in PgBouncer's files.
        let second = pooler.folder.text("pgbouncer.ini")
            .replacingOccurrences(of: sockets.file("a"), with: sockets.file("b"))
            .replacingOccurrences(of: pooler.pidFile, with: pooler.folder.file("second.pid"))
        try pooler.folder.write(second, to: "second.ini")
        let other = try ChildProcess(
            ChildProcess.asServer + [#require(RealPooler.program), pooler.folder.file("second.ini")],
            output: pooler.folder.file("second.log"),
            signal: SIGKILL
        )
        defer { withExtendedLifetime(other) {} }
        var options = pooler.options()
        options.instances = ["a", "b"].map { name in
            .init(
                console: "host=\(sockets.file(name)) port=\(pooler.port) user=adm dbname=pgbouncer password=secret"
            )
        }
        let backend = PgBouncerBackend(options, now: now())
        // Both answer, each for itself.
        #expect(eventually(5) { backend.apply(wants(1, []), now: now()).problem == nil } != nil)
        let clients = try pooler.load("ann", seconds: 20, clients: 30)
        #expect(try eventually(6) { try pooler.connections("ann") > 20 } != nil, "both processes have clients")
        Thread.sleep(forTimeInterval: 5)
        let limited = EnforcementBackendContract.settle(backend, wants(2, [("ann", 5)]), in: [.enforced])
        #expect(limited.state("ann") == .enforced)
        #expect(try pooler.connections("ann") <= 5)
        #expect(limited.standing("ann")?.observed ?? 99 <= 5)
        let released = EnforcementBackendContract.settle(backend, wants(3, []), in: [.released])
        #expect(released.state("ann") == .released)
        #expect(try eventually(5) { try pooler.connections("ann") > 15 } != nil)
        let report = try clients.wait()
        #expect(report.contains("number of failed transactions: 0") && !report.contains("aborted"), "\(report)")
    }

    @Test func `where each load would cut all connections to a TLS server, that is said`() throws {
        let pooler = try RealPooler(settings: ["server_tls_sslmode = prefer"])
        let backend = PgBouncerBackend(pooler.options(), now: now())
        #expect(eventually(3) { backend.apply(wants(1, []), now: now()).problem == nil } != nil)
        let isAffected = try pooler.version().reloadRecyclesTLS
        #expect(backend.notices.contains { $0.contains("TLS") } == isAffected, "\(backend.notices)")
    }
}
