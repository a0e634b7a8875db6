// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PgBouncer
import PostgresClient
import Quotas
import TestKit
import Testing

/// A PgBouncer of its own before the PostgreSQL of all these tests.
final class RealPooler {
    /// `PGWEIR_TEST_PGBOUNCER` names another version than the installed one.
    static let program =
        ([ProcessInfo.processInfo.environment["PGWEIR_TEST_PGBOUNCER"]].compactMap(\.self) + [
            "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer",
        ])
        .first(where: FileManager.default.isExecutableFile)
    static let isInstalled = program != nil && PostgresServer.programs != nil
    static let absence: Comment = "PgBouncer or PostgreSQL is not installed: Scripts/bootstrap test"

    /// `app` is for everybody; `ann`, `ben` and `cat` have passwords, `queried` is known to the server only.
    static let server = Result { () throws -> PostgresServer in
        let server = try PostgresServer()
        try server.ask("create database app")
        for role in ["ann", "ben", "cat", "queried", "svc", "adm", "stat", "asker"] {
            try server.ask("create role \(role) login superuser password 'secret'")
        }
        return server
    }

    let folder: ScratchFolder
    let port = ChildProcess.freePort()
    private var process: ChildProcess?
    private let server: PostgresServer

    var limits: String { folder.file("own/limits.ini") }
    var globals: String { folder.file("own/globals.ini") }
    var pidFile: String { folder.file("pgbouncer.pid") }
    var operatorFile: String { folder.file("pgbouncer.ini") }

    /// `users`: lines of the operator's `[users]`; `settings`: more of its `[pgbouncer]`.
    init(users: [String] = [], settings: [String] = [], includesGlobals: Bool = true) throws {
        server = try Self.server.get()
        folder = try ScratchFolder()
        try folder.makeFolder("own")
        try folder.write("", to: "own/limits.ini")
        try folder.write("", to: "own/globals.ini")
        let names = ["ann", "ben", "cat", "svc", "adm", "stat", "asker"]
        try folder.write(names.map { "\"\($0)\" \"secret\"\n" }.joined(), to: "users.txt")
        let address = "host=127.0.0.1 port=\(server.port) dbname=app"
        try folder.write(
            ([
                "[databases]", "app = \(address)", "forced = \(address) user=svc", "[users]",
            ] + users + [
                "[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = \(port)", "unix_socket_dir =",
                "auth_type = scram-sha-256", "auth_file = \(folder.file("users.txt"))", "auth_user = asker",
                "admin_users = adm", "stats_users = stat", "pool_mode = transaction", "default_pool_size = 20",
                "max_client_conn = 200", "server_lifetime = 1800", "pidfile = \(pidFile)",
            ] + settings + (includesGlobals ? ["%include \(globals)"] : []) + ["%include \(limits)", ""])
            .joined(separator: "\n"),
            to: "pgbouncer.ini"
        )
        try start()
    }

    func start() throws {
        let words = ChildProcess.asServer + [try #require(Self.program), operatorFile]
        // Not SIGTERM, on which PgBouncer waits for its clients from 1.23 on.
        process = try ChildProcess(words, output: folder.file("log"), signal: SIGKILL)
        for _ in 0..<200 {
            if (try? console("SHOW VERSION")) != nil { return }
            usleep(20_000)
        }
        throw ChildProcess.Failure(description: "PgBouncer does not start: \(folder.text("log"))")
    }

    func stop() { process = nil }

    func parameters(_ user: String, _ database: String = "app") -> String {
        "host=127.0.0.1 port=\(port) user=\(user) dbname=\(database) password=secret"
    }

    @discardableResult
    func console(_ command: String) throws -> [[String: String]] {
        try PostgresConnection(parameters("adm", "pgbouncer"), application: "test", seconds: 2)
            .rows(of: command, seconds: 2)
    }

    /// Whether a client can log in and ask.
    func works(_ user: String) -> Bool {
        let connection = try? PostgresConnection(parameters(user), application: "test", seconds: 2)
        return (try? connection?.rows(of: "select 1", seconds: 2)) != nil
    }

    func version() throws -> PgBouncerVersion {
        try #require(PgBouncerVersion(console("SHOW VERSION").first?.values.first ?? ""))
    }

    func setting(_ name: String) throws -> String? {
        try console("SHOW CONFIG").first { $0["key"] == name }?["value"]
    }

    /// The user's connections to the server, as the server sees them.
    func connections(_ user: String) throws -> Int {
        Int(try server.ask("select count(*) from pg_stat_activity where usename = '\(user)' and datname = 'app'")) ?? -1
    }

    /// Queries of a hundredth of a second by 20 clients.
    func load(_ user: String, seconds: Int, clients: Int = 20) throws -> ChildProcess.Running {
        try folder.write("select pg_sleep(0.01);\n", to: "script.sql")
        return try ChildProcess.Running(
            [
                "pgbench", "-n", "-f", folder.file("script.sql"), "-c", "\(clients)", "-T", "\(seconds)",
                parameters(user),
            ],
            in: folder
        )
    }

    /// Options for the admin's console, or for that of a user who may only SHOW.
    func options(user: String = "adm", globals hasGlobals: Bool = false, pid: Bool = false) -> PgBouncerOptions {
        PgBouncerOptions(
            instances: [.init(console: parameters(user, "pgbouncer"), pidFile: pid ? pidFile : nil)],
            limitsFile: limits,
            globalsFile: hasGlobals ? globals : nil,
            operatorFile: operatorFile
        )
    }

    /// What the file of limits says about a user.
    func written(_ user: String) throws -> Int? {
        IncludeFile.parse(Array(folder.text("own/limits.ini").utf8)).file.entries[user]?.limit?.limit
    }
}

/// Tests with real servers, one after the other, as they measure times.
@Suite(.serialized, .enabled(if: RealPooler.isInstalled, RealPooler.absence))
struct RealPoolerTests {}

func now() -> Timestamp { EnforcementBackendContract.now() }
func wants(_ generation: UInt64, _ limits: [(String, Int)], seconds: Int64 = 60) -> WantedLimits {
    EnforcementBackendContract.wants(generation, limits, seconds: seconds)
}

extension EnforcementOutcome {
    /// How one user stands.
    func standing(_ user: String) -> UserEnforcement? { users.first { $0.user == user } }
    /// How far one user's limit got.
    func state(_ user: String) -> EnforcementState? { standing(user)?.state }
}

/// Asks each tenth of a second until it is so.
func eventually(_ seconds: Double, _ isSo: () throws -> Bool) rethrows -> Double? {
    let started = Date()
    while true {
        if try isSo() { return Date().timeIntervalSince(started) }
        if Date().timeIntervalSince(started) > seconds { return nil }
        usleep(100_000)
    }
}
