// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import PgBouncer
import PostgresClient
import Settings

/// Whether limits could be set.
enum EnforcementChecks {
    static func all(_ arguments: BackendArguments) -> [Finding] {
        var findings = arguments.pgbouncer.map { console($0) }
        if let limits = arguments.limits {
            findings.append(file(limits))
            if let ini = arguments.pgbouncerIni { findings.append(inclusion(limits, in: ini, where: "of the file")) }
        }
        if let globals = arguments.limitsGlobals {
            findings.append(file(globals))
            if let ini = arguments.pgbouncerIni {
                findings.append(inclusion(globals, in: ini, where: "of [pgbouncer]"))
            }
        }
        if let server = arguments.roleLimit { findings.append(roles(server)) }
        return findings
    }

    private static func console(_ conninfo: String) -> Finding {
        do throws(PostgresError) {
            let connection = try PostgresConnection(conninfo, application: "pgweir doctor", seconds: 5)
            let version = try connection.rows(of: "SHOW VERSION", seconds: 5).first?.values.first ?? "PgBouncer"
            if version.contains("1.23.0") {
                return .error(
                    "limits.console",
                    "\(version) dies at RELOAD (issue 1105)",
                    "upgrade it to 1.23.1 or later"
                )
            }
            return .fine("limits.console", "\(version) answers")
        } catch {
            return .error(
                "limits.console",
                "the console does not answer: \(error)",
                "connect to the database 'pgbouncer' as one of its admin_users, or of its stats_users with --pgbouncer-pid"
            )
        }
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

    private static func roles(_ server: String) -> Finding {
        do throws(PostgresError) {
            let connection = try PostgresConnection(server, application: "pgweir doctor", seconds: 5)
            let rows = try connection.rows(
                of: "SELECT rolcreaterole OR rolsuper AS may FROM pg_roles WHERE rolname = current_user",
                seconds: 5
            )
            guard rows.first?["may"] == "t" else {
                return .error("limits.roles", "the role may not ALTER ROLE", "give it CREATEROLE")
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
