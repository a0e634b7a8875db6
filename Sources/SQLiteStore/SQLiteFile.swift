import GRDB
// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization

/// One of our files in SQLite, open for several processes (WAL), with two seconds of patience for each other.
///
/// A file that is damaged, of another schema or no file at all is set aside (``SetAside``) and a new one made, when it is
/// opened and while it is used. A file that was removed or replaced behind our back is opened again. Where none can be
/// made, as on a full disk, operations fail until one can; it is tried again every ten seconds.
final class SQLiteFile: Sendable {
    /// What a file holds.
    struct Schema: Sendable {
        /// Steps by which it is made, oldest first; the names of those that are done stand in the file.
        var steps: [(name: String, run: @Sendable (Database) throws -> Void)]
        /// Queries that a file of this schema can run; they are compiled only.
        var probes: [String]
        /// For its owner alone, and the files beside it too: SQLite gives them its rights.
        var isPrivate = false
    }

    /// A queue, and which file it is.
    private struct Opened {
        var queue: DatabaseQueue
        var device: UInt64, inode: UInt64
    }

    private struct State {
        var opened: Opened?
        /// Why there is none.
        var failure: (any Error)?
        /// When the path was looked at, or opening it was tried, in seconds of a steady clock.
        var looked: Int64 = .min
    }

    private let path: String
    private let schema: Schema
    private let report: FileReport
    private let state = Mutex(State())

    /// Seconds between two looks at the path, and between two tries to open it.
    private static let pause: (look: Int64, try: Int64) = (2, 10)
    /// Larger files are not read through when they are opened, in bytes, as that would take seconds; damage shows in use.
    private static let largestCheck: Int64 = 128 << 20

    /// Opens the file, or makes it.
    ///
    /// - Parameters:
    ///   - isPatient: where that fails, operations fail until it can be opened; else the failure is thrown.
    ///   - tidyUp: is run once the file is open, to remove what is too old or too much.
    init(
        _ path: String,
        _ schema: Schema,
        _ report: FileReport,
        isPatient: Bool = false,
        tidyUp: ((Database) throws -> Void)? = nil
    ) throws {
        (self.path, self.schema, self.report) = (path, schema, report)
        do {
            let opened = try open()
            state.withLock { $0 = State(opened: opened, looked: Self.now()) }
        } catch {
            guard isPatient else { throw error }
            state.withLock { $0 = State(failure: error, looked: Self.now()) }
            report.note(.unusable("\(error)"), path)
        }
        guard let tidyUp else { return }
        do { try perform(tidyUp) } catch { if !isPatient { throw error } }
    }

    /// Runs `body` in a transaction.
    func perform<Value>(_ body: (Database) throws -> Value) throws -> Value {
        let queue = try queue()
        do {
            return try queue.write(body)
        } catch  where isDamage(error) {
            guard let next = try replace(queue, error) else { throw error }
            return try next.write(body)
        }
    }

    /// The file that is at the path now.
    private func queue() throws -> DatabaseQueue {
        try state.withLock { state in
            let now = Self.now()
            if let opened = state.opened {
                guard now >= state.looked &+ Self.pause.look else { return opened.queue }
                state.looked = now
                if isSame(opened) { return opened.queue }
                // Removed, or another process has set it aside.
                state.opened = nil
                report.note(.gone, path)
            } else if now < state.looked &+ Self.pause.try, let failure = state.failure {
                throw failure
            }
            return try reopen(&state, now)
        }
    }

    private func reopen(_ state: inout State, _ now: Int64) throws -> DatabaseQueue {
        state.looked = now
        do {
            Self.makeFolder(of: path)
            let opened = try open()
            (state.opened, state.failure) = (opened, nil)
            report.note(.usable, path)
            return opened.queue
        } catch {
            state.failure = error
            report.note(.unusable("\(error)"), path)
            throw error
        }
    }

    /// Sets the file of `queue` aside, unless another thread has; `nil` if it cannot be.
    private func replace(_ queue: DatabaseQueue, _ error: any Error) throws -> DatabaseQueue? {
        try state.withLock { state in
            if let opened = state.opened, opened.queue !== queue { return opened.queue }
            guard let opened = state.opened else { return nil }
            state.opened = nil
            // Removed, or another process may have put a good one in its place.
            if isSame(opened) { _ = setAside("\(error)") } else { report.note(.gone, path) }
            return try reopen(&state, Self.now())
        }
    }

    private func isSame(_ opened: Opened) -> Bool {
        guard let now = Self.identity(path) else { return false }
        return now == (opened.device, opened.inode)
    }

    private static func identity(_ path: String) -> (UInt64, UInt64)? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return (UInt64(status.st_dev), UInt64(status.st_ino))
    }

    private func setAside(_ reason: String) -> Bool {
        guard let target = SetAside.move(path) else {
            report.note(.unusable("it is damaged and cannot be set aside: \(reason)"), path)
            return false
        }
        report.note(.setAside(target, reason), path)
        return true
    }

    /// Opens what is at the path; what cannot be used is set aside, and tried once more.
    private func open() throws -> Opened {
        if SetAside.look(at: path) == .other, !setAside("it is no regular file") {
            throw FileProblem(reason: "it is no regular file")
        }
        for suffix in ["-wal", "-shm", "-journal"] where SetAside.look(at: path + suffix) == .other {
            guard SetAside.move(path + suffix) != nil else { throw FileProblem(reason: "\(path)\(suffix) is no file") }
            report.note(.setAside(path + suffix, "it is no regular file"), path + suffix)
        }
        do {
            return try openFile()
        } catch  where isDamage(error) {
            guard setAside("\(error)") else { throw error }
            return try openFile()
        }
    }

    private func openFile() throws -> Opened {
        if schema.isPrivate {
            let descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
            if descriptor >= 0 { close(descriptor) }
        }
        var configuration = Configuration()
        configuration.busyMode = .timeout(2)
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        }
        var migrator = DatabaseMigrator()
        for step in schema.steps { migrator.registerMigration(step.name, migrate: step.run) }
        try migrator.migrate(queue)
        try queue.read { [migrator] database in
            if try migrator.hasBeenSuperseded(database) {
                throw FileProblem(reason: "a newer version of pgweir made it", isDamage: true)
            }
            for probe in schema.probes { _ = try database.makeStatement(sql: probe) }
            let pages = try Int64.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            let size = try Int64.fetchOne(database, sql: "PRAGMA page_size") ?? 0
            guard pages.multipliedReportingOverflow(by: size).partialValue <= Self.largestCheck else { return }
            let finding = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
            guard finding == "ok" else { throw FileProblem(reason: finding ?? "it cannot be checked", isDamage: true) }
            try Self.checkOrder(database)
        }
        guard let (device, inode) = Self.identity(path) else { throw FileProblem(reason: "it was removed") }
        return Opened(queue: queue, device: device, inode: inode)
    }

    /// Throws where a table without row numbers is not in the order of its keys: look-ups would miss rows that are there.
    ///
    /// SQLite's own checks compare row numbers only (PRAGMA quick_check and integrity_check, SQLite documentation).
    /// Tables with an index besides are left out: SQLite may read that instead, which has an order of its own.
    private static func checkOrder(_ database: Database) throws {
        let tables = try String.fetchAll(
            database,
            sql: """
                SELECT name FROM pragma_table_list AS t WHERE wr AND schema = 'main'
                    AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) WHERE origin <> 'pk')
                """
        )
        for table in tables {
            let name = table.quotedDatabaseIdentifier
            let keys = try String.fetchAll(
                database,
                sql: "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk",
                arguments: [table]
            )
            .map(\.quotedDatabaseIdentifier)
            guard !keys.isEmpty else { continue }
            let here = keys.enumerated().map { "\($1) AS k\($0)" }.joined(separator: ", ")
            let before = keys.enumerated().map { "lag(\($1)) OVER () AS p\($0)" }.joined(separator: ", ")
            let (left, right) = (keys.indices.map { "p\($0)" }, keys.indices.map { "k\($0)" })
            let isDisordered = try Bool.fetchOne(
                database,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM (SELECT \(here), \(before) FROM \(name) NOT INDEXED)
                        WHERE (\(left.joined(separator: ", "))) >= (\(right.joined(separator: ", "))))
                    """
            )
            guard isDisordered == false else {
                throw FileProblem(reason: "the keys of \(table) are out of order", isDamage: true)
            }
        }
    }

    /// Whether an error tells that the file is not what it should be, and not that it cannot be reached or written.
    private func isDamage(_ error: any Error) -> Bool {
        if let problem = error as? FileProblem { return problem.isDamage }
        // A value of another type than was written.
        if error is RowDecodingError { return true }
        guard let error = error as? DatabaseError else { return false }
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT, .SQLITE_MISMATCH, .SQLITE_ERROR, .SQLITE_CONSTRAINT,
            .SQLITE_TOOBIG, .SQLITE_RANGE:
            return true
        case .SQLITE_READONLY:
            // A file of a format that SQLite can only read says so too: damage, if the system lets us write it.
            return unsafe access(path, W_OK) == 0
        case .SQLITE_IOERR:
            return error.extendedResultCode == .SQLITE_IOERR_SHORT_READ
                || error.extendedResultCode == .SQLITE_IOERR_CORRUPTFS
        default: return false
        }
    }

    private static func makeFolder(of path: String) {
        guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
        unsafe mkdir(String(path[..<slash]), 0o750)
    }

    private static func now() -> Int64 {
        SystemClock.nanoseconds() / 1_000_000_000
    }
}

/// What is wrong with a file, other than what SQLite says.
struct FileProblem: Error, CustomStringConvertible {
    var reason: String
    var isDamage = false
    var description: String { reason }
}
