// SPDX-License-Identifier: Apache-2.0
import GRDB

/// How our files are opened: for several processes (WAL), with two seconds of patience for each other.
enum SQLiteFile {
    static func open(_ path: String, _ register: (inout DatabaseMigrator) -> Void) throws -> DatabaseQueue {
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
