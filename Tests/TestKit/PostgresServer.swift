// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A PostgreSQL of its own on a free port of 127.0.0.1, which trusts everybody; its superuser is `admin`.
public final class PostgresServer: Sendable {
    /// Where its programs are; `nil`: it is not installed.
    public static let programs: String? = {
        let root = "/usr/lib/postgresql"
        let versions = Repository.files(root).compactMap { Int($0) }.sorted()
        return versions.last.map { "\(root)/\($0)/bin" }
    }()

    /// Where it listens, and where its files are.
    public let port = ChildProcess.freePort(), folder: ScratchFolder
    private let process: ChildProcess

    /// Makes and starts one.
    public init(settings: [String] = []) throws {
        guard let programs = Self.programs else {
            throw ChildProcess.Failure(description: "PostgreSQL is not installed: Scripts/bootstrap test")
        }
        folder = try ScratchFolder()
        let data = folder.file("data")
        try ChildProcess.run(
            ChildProcess.asServer + ["\(programs)/initdb", "-D", data, "-A", "trust", "-U", "admin", "--no-sync"],
            in: folder
        )
        process = try ChildProcess(
            ChildProcess.asServer + [
                "\(programs)/postgres", "-D", data, "-p", "\(port)", "-k", folder.path, "-c", "fsync=off",
                "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100", "-c", "shared_buffers=16MB",
            ] + settings.flatMap { ["-c", $0] },
            output: folder.file("log"),
            signal: 3,  // an immediate shutdown
            removing: folder
        )
        for _ in 0..<500 {
            if (try? ask("select 1")) != nil { return }
            usleep(20_000)
        }
        throw ChildProcess.Failure(description: "PostgreSQL does not start: \(folder.text("log"))")
    }

    /// A connection string for it.
    public func parameters(user: String = "admin", database: String = "postgres") -> String {
        "host=127.0.0.1 port=\(port) user=\(user) dbname=\(database)"
    }

    /// Runs statements as the superuser; returns the rows as lines.
    @discardableResult
    public func ask(_ sql: String, database: String = "postgres") throws -> String {
        let words = [
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, parameters(database: database),
        ]
        return try ChildProcess.run(words, in: folder).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
