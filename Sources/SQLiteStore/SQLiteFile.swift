// SPDX-License-Identifier: Apache-2.0
import GRDB
import Glibc

/// How our files are opened: for several processes (WAL), with two seconds of patience for each other.
enum SQLiteFile {
    ///
    /// A private file is made for its owner alone, and the files beside it are too: SQLite gives them its rights.
    static func open(
        _ path: String,
        isPrivate: Bool = false,
        _ register: (inout DatabaseMigrator) -> Void
    ) throws -> DatabaseQueue {
        if isPrivate { close(unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)) }
        var configuration = Configuration()
        configuration.busyMode = .timeout(2)
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        }
        var migrator = DatabaseMigrator()
        register(&migrator)
        try migrator.migrate(queue)
        return queue
    }
}
