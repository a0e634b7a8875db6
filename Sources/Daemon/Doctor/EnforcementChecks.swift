// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import PgBouncer
import PostgresClient
import Settings

/// Whether limits could be set.
enum EnforcementChecks {
    static func all(_ arguments: BackendConfiguration) -> [Finding] {
        var findings: [Finding] = []
        var found: String?
        for conninfo in arguments.pgbouncer { findings += console(conninfo, arguments, &found) }
        let ini = arguments.pgbouncerIni ?? found
        if let limits = arguments.limits {
            findings.append(file(limits))
            if let ini { findings.append(inclusion(limits, in: ini, where: "of the file")) }
            if !arguments.pgbouncer.isEmpty { findings.append(guardian(arguments.guardAbsence)) }
        }
        if let globals = arguments.limitsGlobals {
            findings.append(file(globals))
            if let ini {
                findings.append(inclusion(globals, in: ini, where: "of [pgbouncer]"))
            }
        }
        if let server = arguments.roleLimit { findings.append(roles(server)) }
        return findings
    }

    /// What a PgBouncer says of itself; `ini`: the configuration that it has, if nobody named one.
    private static func console(
        _ conninfo: String,
        _ arguments: BackendConfiguration,
        _ ini: inout String?
    ) -> [Finding] {
        do throws(PostgresError) {
            let connection = try PostgresConnection(conninfo, application: "pgweir doctor", seconds: 5)
            func rows(_ command: String) throws(PostgresError) -> [[String: String]] {
                try connection.rows(of: command, seconds: 5)
            }
            let said = try rows("SHOW VERSION").first?.values.first ?? ""
            guard let version = PgBouncerVersion(said) else {
                return [
                    .error(
                        "limits.console",
                        "'\(said.printable)' is no PgBouncer: limits are set at its console",
                        "connect to PgBouncer's port and its database 'pgbouncer'"
                    )
                ]
            }
            var findings = [Finding.fine("limits.console", "\(said.printable) answers")]
            let config = try rows("SHOW CONFIG").reduce(into: [String: String]()) { config, row in
                if let key = row["key"] { config[key] = row["value"] ?? "" }
            }
            if arguments.pgbouncerIni == nil {
                ini = ini ?? config["conffile"]
                findings.append(configuration(config["conffile"] ?? ""))
            }
            let path = arguments.pgbouncerIni ?? config["conffile"] ?? ""
            let settings = PgBouncerTrap.userSettings(in: path)
            for trap in PgBouncerTrap.all(version, config: config, users: settings) {
                findings.append(
                    trap.kind == .fatal
                        ? .error("limits.version", trap.text, trap.remedy)
                        : .warning("limits.version", trap.text, trap.remedy)
                )
            }
            findings.append(queue(config, try rows("SHOW POOLS"), try rows("SHOW STATS")))
            return findings
        } catch {
            return [
                .error(
                    "limits.console",
                    "the console does not answer: \(error)",
                    "connect to the database 'pgbouncer' as one of its admin_users, or of its stats_users with "
                        + "--pgbouncer-pid"
                )
            ]
        }
    }

    private static func configuration(_ path: String) -> Finding {
        guard path.hasPrefix("/"), unsafe access(path, R_OK) == 0 else {
            return .error(
                "limits.ini",
                "the configuration that PgBouncer has ('\(path.printable)') cannot be read here: users' own settings are not "
                    + "known, so nobody is limited",
                "name it with --pgbouncer-ini, and let pgweir's user read it"
            )
        }
        return .fine("limits.ini", "users' own settings are read from \(path.printable), which PgBouncer names")
    }

    private static func guardian(_ absence: String?) -> Finding {
        guard let absence else { return .fine("limits.guard", "a guard would lift limits if the daemon died") }
        return .error("limits.guard", "\(absence); until then nobody is limited", "start the guard, best as a service")
    }

    /// Whether clients of a user who is left one connection would wait for longer than PgBouncer lets them.
    private static func queue(
        _ config: [String: String],
        _ pools: [[String: String]],
        _ stats: [[String: String]]
    ) -> Finding {
        guard let timeout = Double(config["query_wait_timeout"] ?? ""), timeout > 0 else {
            return .fine(
                "limits.queue",
                "clients of a limited user wait for as long as it takes (query_wait_timeout = 0)"
            )
        }
        var clients: [String: Double] = [:]
        for pool in pools where pool["database"] != "pgbouncer" {
            let count = (Double(pool["cl_active"] ?? "") ?? 0) + (Double(pool["cl_waiting"] ?? "") ?? 0)
            clients[pool["user"] ?? "", default: 0] += count
        }
        // Microseconds, of the last period (stats_period).
        let longest = stats.compactMap { Double($0["avg_xact_time"] ?? "") }.max() ?? 0
        let most = clients.max { $0.value < $1.value }
        let wait = (most?.value ?? 0) * longest / 1_000_000
        if wait > timeout {
            return .warning(
                "limits.queue",
                "a user with \(Int(most?.value ?? 0)) clients that is left one connection would make them wait about "
                    + "\(Int(wait)) s, and after \(Int(timeout)) s (query_wait_timeout) each gets an error",
                "raise query_wait_timeout, or give the tier a 'floor' of more connections"
            )
        }
        return .note(
            "limits.queue",
            "a client of a limited user that waits \(Int(timeout)) s for a connection gets an error (query_wait_timeout)"
        )
    }

    private static func file(_ path: String) -> Finding {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        guard unsafe access(path, F_OK) == 0 else {
            return .error(
                "limits.file",
                "\(path) is missing: PgBouncer would not start",
                "`pgweir guard --once` makes it"
            )
        }
        guard unsafe access(path, R_OK | W_OK) == 0, unsafe access(folder, W_OK | X_OK) == 0 else {
            return .error("limits.file", "\(path) cannot be replaced", "let pgweir's user write \(folder) and the file")
        }
        return .fine("limits.file", "\(path) can be written")
    }

    private static func inclusion(_ path: String, in ini: String, where place: String) -> Finding {
        do throws(SettingsError) {
            let lines = try TextFile.read(ini).split(separator: "\n").map { $0.trimmed }
            guard let index = lines.lastIndex(where: { $0.hasPrefix("%include") && $0.hasSuffix(path) }) else {
                return .error(
                    "limits.include",
                    "\(ini) does not include \(path)",
                    "add '%include \(path)' as the last line \(place)"
                )
            }
            let rest = lines[(index + 1)...].filter { !$0.isEmpty && !$0.hasPrefix(";") && !$0.hasPrefix("#") }
            let isLast = place == "of the file" ? rest.isEmpty : rest.first?.hasPrefix("[") ?? true
            guard isLast else {
                return .warning(
                    "limits.include",
                    "'%include \(path)' is not the last line \(place): what follows may take limits back",
                    "move it there"
                )
            }
            return .fine("limits.include", "\(ini) includes \(path) in the last line \(place)")
        } catch {
            return .error("limits.include", error.description, "let pgweir's user read it")
        }
    }

    /// What ALTER ROLE will check (PostgreSQL documentation, "ALTER ROLE"): a superuser may all; CREATEROLE those that are no
    /// superusers, since PostgreSQL 16 only with ADMIN OPTION on them, direct or by a role whose rights are inherited.
    private static let mayAlter = """
        WITH RECURSIVE me AS (SELECT oid, rolsuper, rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user),
        held AS (
            SELECT oid FROM me
            UNION SELECT m.roleid FROM held JOIN pg_catalog.pg_auth_members m ON m.member = held.oid
        ), candidate AS (
            SELECT r.oid FROM pg_catalog.pg_roles r, me
            WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication AND r.oid <> me.oid
        )
        SELECT bool_or(rolcreaterole OR rolsuper) AS may, (SELECT count(*) FROM candidate) AS candidates,
            (SELECT count(*) FROM candidate c WHERE EXISTS (SELECT 1 FROM me WHERE rolsuper)
                OR pg_catalog.current_setting('server_version_num')::int < 160000
                OR EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members m
                    WHERE m.roleid = c.oid AND m.admin_option AND m.member IN (SELECT oid FROM held))) AS reachable
        FROM me
        """

    private static func roles(_ server: String) -> Finding {
        do throws(PostgresError) {
            let connection = try PostgresConnection(server, application: "pgweir doctor", seconds: 5)
            let rows = try connection.rows(
                of: Self.mayAlter,
                seconds: 5
            )
            guard let row = rows.first, row["may"] == "t" else {
                return .error("limits.roles", "the role may not ALTER ROLE", "give it CREATEROLE")
            }
            let (count, all) = (Int(row["reachable"] ?? "") ?? 0, Int(row["candidates"] ?? "") ?? 0)
            if count == 0, all > 0 {
                return .error(
                    "limits.roles",
                    "the role may not ALTER any of the \(all) roles that log in: since PostgreSQL 16 CREATEROLE is not enough",
                    "GRANT each of them TO it WITH ADMIN OPTION"
                )
            }
            if count < all {
                return .warning(
                    "limits.roles",
                    "\(all - count) of the \(all) roles that log in cannot be limited: they are not granted WITH ADMIN OPTION",
                    "GRANT them TO the role WITH ADMIN OPTION, if they are to be limited"
                )
            }
            return .fine("limits.roles", "roles can be limited")
        } catch {
            return .error("limits.roles", "--role-limit: \(error)", "try the same with psql")
        }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        let start = drop { $0.isWhitespace }
        return start[..<(start.lastIndex { !$0.isWhitespace }.map { start.index(after: $0) } ?? start.startIndex)]
    }
}
