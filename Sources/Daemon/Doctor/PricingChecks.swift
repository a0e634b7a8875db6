// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Explain
import Glibc

/// Whether prices can be asked for and kept.
enum PricingChecks {
    static func all(_ arguments: ExplainConfiguration) -> [Finding] {
        var findings: [Finding] = []
        if let options = arguments.options {
            let explainer = Explainer(options)
            findings.append(server(explainer))
            if let rights = try? explainer.needlessRights(), !rights.isEmpty {
                findings.append(
                    .warning(
                        "explain.rights",
                        "the role of --explain is a member of \(rights.joined(separator: ", ")), which planning does not need",
                        "run Deploy/sql/explain-role.sql again: it grants tables by schema and revokes these"
                    )
                )
            }
        }
        if arguments.keeping.redis != nil || arguments.keeping.state != nil {
            findings.append(store(arguments.keeping))
        }
        return findings
    }

    private static func server(_ explainer: Explainer) -> Finding {
        do throws(PricingError) {
            // A table that everybody may read, so that a plan with a table comes back.
            let request = PricingRequest(text: Array("select relname from pg_catalog.pg_class where oid = 1".utf8))
            guard case .plan(let plan, let version) = try explainer.price(request) else {
                throw .badPlan
            }
            return .fine(
                "explain.reachable",
                "PostgreSQL \(version / 10_000).\(version % 10_000) prices statements (a look into pg_class: \(plan.cost) units)"
            )
        } catch {
            let remedy =
                switch error {
                case .syntax(.noLibrary): "apt-get install libpg-query1504.0"
                case .isSuperuser: "run Deploy/sql/explain-role.sql on the primary and name its role"
                case .isPrimary: "name a replica, or add --explain-primary"
                default: "try the same with psql; the role is made by Deploy/sql/explain-role.sql"
                }
            return .error("explain.reachable", "--explain: \(error)", remedy)
        }
    }

    private static func store(_ arguments: StoreConfiguration) -> Finding {
        do {
            // The doctor changes nothing: a file that is not there yet is the daemon's to make.
            guard arguments.redis != nil else { return folder(arguments) }
            let store = try arguments.openExisting()
            let clock = ContinuousClock()
            let took = try clock.measure { _ = try store.prices(of: [Fingerprint(high: 0, low: 1)]) }
            let milliseconds = took.components.seconds * 1000 + took.components.attoseconds / 1_000_000_000_000_000
            return .fine("prices.store", "\(store.name) answers, in \(milliseconds) ms")
        } catch {
            let remedy = "try the same with redis-cli; prices are kept in memory meanwhile"
            return .error("prices.store", "\(error)", remedy)
        }
    }

    private static func folder(_ arguments: StoreConfiguration) -> Finding {
        guard let folder = arguments.folder else {
            return .note("prices.store", "prices are kept in memory", "--state DIR")
        }
        guard unsafe access(folder, W_OK | X_OK) == 0 else {
            return .error(
                "prices.store",
                "\(folder): \(Output.message(errno))",
                "make the folder, writable for the daemon's user, or use --state none"
            )
        }
        return .fine("prices.store", "\(folder) can be written to")
    }
}
