// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc
import Platform
import PostgresClient

/// Finds out whose sessions are that began before the capture, by asking servers and poolers.
///
/// It asks only while there are such sessions, and not more often than the answers can be had cheaply: a pooler is one
/// thread, which a long list stops. For one thread.
public final class SessionResolver {
    private let directories: [SessionDirectory]
    private var connections: [PostgresConnection?]
    private let complain: (String) -> Void
    private var complaints: [String]
    /// How often each session was asked for without being found.
    private var misses: [UnknownSession: Int] = [:]
    /// Seconds to wait before the next question is asked.
    public private(set) var pause = 0.2

    /// Answers without a session after which it is given up.
    private static let mostMisses = 3
    /// A question that took so long may be asked again after so many times as long.
    private static let rest = 50.0
    /// Without any answer, a session is given up after so many seconds.
    private static let patience: Int64 = 30_000_000_000

    /// A resolver; `complain` is told once of each problem.
    public init(_ directories: [SessionDirectory], complain: @escaping (String) -> Void) {
        self.directories = directories
        self.complain = complain
        connections = directories.map { _ in nil }
        complaints = directories.map { _ in "" }
    }

    /// Asks for `sessions`; returns those that are resolved, or given up.
    public func resolve(_ sessions: [UnknownSession]) -> [SessionResolution] {
        var open = sessions
        var resolutions: [SessionResolution] = []
        var hasAnswer = false
        var longest = 0.0
        for index in directories.indices where !open.isEmpty {
            let asked = Self.now()
            guard let matcher = ask(index) else { continue }
            let answered = Self.now()
            hasAnswer = true
            longest = max(longest, Double(answered.nanoseconds(since: asked)) / 1e9)
            let found = matcher.match(open, asked: asked, answered: answered)
            resolutions += found
            let known = Set(found.map(\.session))
            open.removeAll { known.contains($0) }
        }
        pause = min(30, max(0.5, longest * Self.rest))
        resolutions += giveUp(open, hasAnswer)
        return resolutions
    }

    private func giveUp(_ open: [UnknownSession], _ hasAnswer: Bool) -> [SessionResolution] {
        let now = Self.now()
        var next: [UnknownSession: Int] = [:]
        var result: [SessionResolution] = []
        for session in open {
            let count = (misses[session] ?? 0) + (hasAnswer ? 1 : 0)
            if count >= Self.mostMisses || now.nanoseconds(since: session.since) > Self.patience {
                result.append(SessionResolution(session: session, identity: nil, answered: now))
            } else {
                next[session] = count
            }
        }
        misses = next
        return result
    }

    private func ask(_ index: Int) -> SessionMatcher? {
        let directory = directories[index]
        do throws(PostgresError) {
            let connection: PostgresConnection
            if let known = connections[index] { connection = known } else { connection = try connect(directory) }
            connections[index] = connection
            let matcher = try directory.ask(connection)
            complaints[index] = ""
            return matcher
        } catch {
            connections[index] = nil
            let text = "cannot ask \(directory.name) whose sessions are: \(error)"
            if complaints[index] != text { complain(text) }
            complaints[index] = text
            return nil
        }
    }

    private func connect(_ directory: SessionDirectory) throws(PostgresError) -> PostgresConnection {
        let connection = try PostgresConnection(
            directory.parameters,
            application: "pgweir",
            seconds: SessionDirectory.patience
        )
        if directory.kind == .server {
            let may = try connection.rows(of: SessionDirectory.rightsQuery, seconds: SessionDirectory.patience)
            if may.first?["may"] != "t" {
                complain(
                    "the role that asks pg_stat_activity sees no addresses of others: "
                        + "GRANT pg_monitor TO it."
                )
            }
        }
        return connection
    }

    private static func now() -> Timestamp {
        SystemClock.time()
    }
}
