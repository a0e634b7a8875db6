// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Platform
import Testing

@testable import RedisClient

/// A program of ours, ended by its number; not `Foundation.Process`, which hangs where loopback is down.
final class Daemon {
    private(set) var pid: pid_t

    init(_ words: [String], output path: String) throws {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var arguments = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var child = pid_t()
        let code = unsafe posix_spawnp(&child, words[0], &actions, nil, &arguments, environ)
        try #require(code == 0, "cannot start \(words[0]): \(SystemError.text(code))")
        pid = child
    }

    deinit { stop() }

    /// Kills it if it is still there; may be called again.
    func stop() {
        guard pid > 0 else { return }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        pid = 0
    }

    func signal(_ number: Int32) { kill(pid, number) }

    /// Runs a program to its end; returns what it printed.
    static func output(_ words: [String], in folder: String, seconds: Double = 30) throws -> String {
        let path = folder + "/output-\(UUID().uuidString)"
        let program = try Daemon(words, output: path)
        let deadline = SystemClock.now() + seconds
        var status: Int32 = 0
        while unsafe waitpid(program.pid, &status, WNOHANG) == 0 {
            try #require(SystemClock.now() < deadline, "\(words) takes too long")
            usleep(10_000)
        }
        program.pid = 0
        let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        // Not #require: a server that is not up yet is no fault.
        guard status == 0 else { throw RedisError.noResources(reason: "\(words): \(text)") }
        return text
    }
}

/// A folder that goes with its owner.
final class TemporaryFolder {
    let path = NSTemporaryDirectory() + "pgweir-redis-\(UUID().uuidString.prefix(8))"
    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A redis-server on a free port of 127.0.0.1 that keeps nothing on disk.
final class RealServer {
    static let isInstalled = ["redis-server", "redis-cli", "redis-sentinel"].allSatisfy { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
        }
    }
    static let absence: Comment =
        "redis-server, redis-cli or redis-sentinel is not installed: Scripts/bootstrap test"

    let port = Loopback.freePort()
    let folder: TemporaryFolder
    private var daemon: Daemon
    private let words: [String]

    var url: String { "redis://127.0.0.1:\(port)" }
    var socket: String { folder.path + "/redis.sock" }

    init(_ options: String...) throws {
        folder = try TemporaryFolder()
        words =
            [
                "redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder.path, "--save",
                "",
                "--appendonly", "no", "--unixsocket", folder.path + "/redis.sock",
            ] + options
        daemon = try Daemon(words, output: folder.path + "/log")
        try waitUntilUp()
    }

    func stop() { daemon.stop() }
    func signal(_ number: Int32) { daemon.signal(number) }

    func restart() throws {
        daemon.stop()
        daemon = try Daemon(words, output: folder.path + "/log")
        try waitUntilUp()
    }

    /// redis-cli's answer.
    @discardableResult func cli(_ words: String...) throws -> String {
        try Daemon.output(["redis-cli", "-p", "\(port)"] + words, in: folder.path)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func waitUntilUp() throws {
        let deadline = SystemClock.now() + 20
        while SystemClock.now() < deadline {
            // Any answer will do, that to a missing password, too.
            if let text = try? cli("PING"), text.contains("PONG") || text.contains("NOAUTH") { return }
            usleep(20_000)
        }
        let log = FileManager.default.contents(atPath: folder.path + "/log") ?? Data()
        throw RedisError.cannotConnect(server: url, reason: String(decoding: log, as: UTF8.self))
    }
}

/// Tests with real servers, one after the other, as they measure times.
@Suite(.serialized, .enabled(if: RealServer.isInstalled, RealServer.absence))
struct RealServerTests {}
