// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import PostgresClient

/// One PgBouncer process, and what it said last.
final class Instance {
    /// A user as SHOW USERS and SHOW POOLS tell of it.
    struct User {
        /// Connections to the server; `nil`: not told.
        var connections: Int?
        /// The limit that PgBouncer has in mind, from 1.23 on.
        var limit: Int?
        /// The user's own pool mode; empty: the default.
        var poolMode = ""
        var poolsBySession = false
        /// How long the client that waits longest for a connection has waited, in seconds.
        var longestWait = 0
    }

    let console: Console
    let pidFile: PidFile?
    private(set) var version: PgBouncerVersion?
    private(set) var users: [String: User] = [:]
    /// The `dbname` of our trailer: which file was read to the end; `nil`: none.
    private(set) var acknowledgement: String?
    /// Users who stand for all clients of a database.
    private(set) var forced: Set<String> = []
    private(set) var config: [String: String] = [:]
    /// The operator's server_lifetime, while ours holds.
    var lifetimeBefore: String?
    /// Whether a console was lost since the last look: perhaps it is a new process.
    private(set) var mayBeNew = false
    private var epoch = 0
    /// Whether RELOAD and SET are refused, as to a stats user.
    private(set) var isReadOnly = false
    private var sampled = -1.0e9, configured = -1.0e9

    init(_ options: PgBouncerOptions.Instance) {
        console = Console(options.console)
        pidFile = options.pidFile.map(PidFile.init)
    }

    /// Whether its console answers, as of the last call.
    var isUp: Bool { console.isOpen && version != nil }

    private var usesTLS: Bool { (config["server_tls_sslmode"] ?? "disable") != "disable" }
    /// Whether each load of its files replaces all connections to servers: then nothing is left to be let go.
    var recyclesAtReload: Bool { (version?.reloadRecyclesTLS ?? false) && usesTLS }
    /// Whether a load that meets a login at a server harms somebody, or may end the process.
    private var breaksLogins: Bool { recyclesAtReload || (version?.reloadBreaksHandshakes ?? false) && usesTLS }
    /// The file that it was started with; `nil`: not told.
    var configurationFile: String? { config["conffile"].flatMap { $0.isEmpty ? nil : $0 } }
    /// Since when it has been opening connections whenever it was asked to load.
    private var busySince: Double?

    /// Asks it how things are unless that was asked a moment ago.
    func sample(atMostEvery seconds: Double) {
        guard console.open() else { return }
        do throws(PostgresError) {
            if epoch != console.epoch {
                version = try PgBouncerVersion(console.run("SHOW VERSION").first?.values.first ?? "")
                mayBeNew = epoch != 0
                (epoch, sampled, configured, isReadOnly) = (console.epoch, -1e9, -1e9, false)
            }
            let now = SystemClock.now()
            if now - configured >= 30 { try readConfig() }
            guard now - sampled >= seconds else { return }
            try readUsers()
            try readDatabases()
            sampled = now
        } catch {}
    }

    /// The settings as they are now, ours among them.
    func readConfig() throws(PostgresError) {
        config = [:]
        for row in try console.run("SHOW CONFIG") {
            if let key = row["key"] { config[key] = row["value"] ?? "" }
        }
        configured = SystemClock.now()
    }

    /// What SHOW DATABASES tells, above all which file was loaded.
    func readDatabases() throws(PostgresError) {
        (acknowledgement, forced) = (nil, [])
        for row in try console.run("SHOW DATABASES") {
            if row["name"] == IncludeFile.acknowledgedBy { acknowledgement = row["database"] }
            if let user = row["force_user"], !user.isEmpty { forced.insert(user) }
        }
    }

    private func readUsers() throws(PostgresError) {
        var users: [String: User] = [:]
        let tells = version?.tellsLimits ?? false
        for row in try console.run("SHOW USERS") {
            guard let name = row["name"] else { continue }
            users[name] = User(
                connections: tells ? row["current_connections"].flatMap { Int($0) } : 0,
                limit: tells ? row["max_user_connections"].flatMap { Int($0) } : nil,
                poolMode: row["pool_mode"] ?? ""
            )
        }
        for row in try console.run("SHOW POOLS") {
            guard let name = row["user"] else { continue }
            let wait = Int(row["maxwait"] ?? "") ?? 0
            if let longest = users[name]?.longestWait, wait > longest { users[name]?.longestWait = wait }
            if row["pool_mode"] == "session" { users[name]?.poolsBySession = true }
            guard !tells else { continue }
            let columns = ["sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login", "sv_being_canceled"]
            let sum = columns.reduce(0) { $0 &+ (Int(row[$1] ?? "") ?? 0) }
            // A user of auth_query is in no list before 1.23, and can have no line; but it may have been forgotten.
            if let known = users[name]?.connections { users[name]?.connections = known &+ sum }
        }
        self.users = users
    }

    /// How long a moment without logins at servers is waited for in one turn, and until it is done without, in seconds.
    private static let quietPatience = 0.4, longestBusy = 30.0

    /// Waits for a moment at which no connection to a server is being opened.
    ///
    /// A load closes logins that are under way in some versions, and the pool then refuses clients for
    /// `server_login_retry`; in others it may end the process. Where it does neither, it is not put off for ever.
    func awaitQuiet() throws(LoadFailure) {
        guard isUp else { return }
        var logins = 0
        let end = SystemClock.now() + Self.quietPatience
        while isUp {
            let asked = SystemClock.now()
            logins = (try? pendingLogins()) ?? 0
            let answered = SystemClock.now()
            guard logins > 0, answered < end else { break }
            // PgBouncer does nothing else while it answers, which takes long where it has many pools.
            SystemClock.sleep(seconds: min(max(0.02, 10 * (answered - asked)), Self.quietPatience))
        }
        guard isUp else { throw .lost("its console is away: \(console.absence ?? "")") }
        let now = SystemClock.now()
        if logins == 0 {
            busySince = nil
            return
        }
        let since = busySince ?? now
        busySince = since
        if !breaksLogins, now - since >= Self.longestBusy { return }
        throw .busy("PgBouncer is opening \(logins) connections to servers; it is told when they are open")
    }

    private func pendingLogins() throws(PostgresError) -> Int {
        try console.run("SHOW POOLS").reduce(0) { $0 &+ (Int($1["sv_login"] ?? "") ?? 0) }
    }

    /// Has it load its files again: by RELOAD where we may, by SIGHUP otherwise; throws what went wrong.
    func reload() throws(LoadFailure) {
        try awaitQuiet()
        if isUp, !isReadOnly {
            do throws(PostgresError) {
                _ = try console.run("RELOAD")
                return
            } catch {
                guard case .refused(let reason, let state) = error else { throw .lost("lost at RELOAD: \(error)") }
                // 08P01 also means other things; F0000 is a load that failed (1.25).
                guard state == "08P01", reason.contains("admin access") else { throw .refused(reason) }
                isReadOnly = true
            }
        }
        guard let pidFile else {
            throw isReadOnly
                ? .refused("its console's user may not RELOAD: make it one of admin_users, or name the pid file")
                : .lost("its console is away: \(console.absence ?? "")")
        }
        do throws(PgBouncerError) {
            guard try pidFile.reload() else {
                throw PgBouncerError.cannotSignal(path: pidFile.path, reason: "no process")
            }
        } catch { throw .refused(error.description) }
    }

    /// Loads and waits until SHOW DATABASES names the file that was loaded.
    func load(_ expected: String) throws(LoadFailure) {
        try reload()
        guard isUp else { throw .lost("its console is away: \(console.absence ?? "")") }
        // RELOAD is done when it answers; a signal is not.
        let isLoaded = System.wait(seconds: isReadOnly ? Console.patience : 0) {
            (try? readDatabases()) == nil || acknowledgement == expected
        }
        guard console.isOpen else { throw .lost("lost while loading: \(console.absence ?? "")") }
        guard isLoaded, acknowledgement == expected else {
            throw .refused(
                "it did not read the file of limits to its end; is that included in the last line of its "
                    + "configuration, and is all above right? Its log tells"
            )
        }
        mayBeNew = false
        (sampled, configured) = (-1e9, -1e9)
    }

    /// The next sample asks everything again.
    func forget() { (sampled, configured) = (-1e9, -1e9) }
}

/// Why an instance did not load a file.
enum LoadFailure: Error {
    /// It opens connections to servers just now; nothing was done.
    case busy(String)
    /// It answers, and did not do it.
    case refused(String)
    /// It does not answer, or not any more.
    case lost(String)

    var reason: String {
        switch self {
        case .busy(let reason), .refused(let reason), .lost(let reason): reason
        }
    }
}
