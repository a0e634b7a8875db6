// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Explain

/// Whether prices can be asked for and kept.
enum PricingChecks {
    static func all(_ arguments: ExplainArguments) -> [Finding] {
        var findings: [Finding] = []
        if let options = arguments.options { findings.append(server(options)) }
        if arguments.keeping.redis != nil || arguments.keeping.state != nil {
            findings.append(store(arguments.keeping))
        }
        return findings
    }

    private static func server(_ options: Explainer.Options) -> Finding {
        do throws(PricingError) {
            // A table that everybody may read, so that a plan with a table comes back.
            let request = PricingRequest(text: Array("select relname from pg_catalog.pg_class where oid = 1".utf8))
            guard case .plan(let plan, _, let version) = try Explainer(options).price(request) else {
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

    private static func store(_ arguments: StoreArguments) -> Finding {
        do {
            let store = try arguments.open()
            let clock = ContinuousClock()
            let took = try clock.measure {
                _ = try store.prices(of: [Fingerprint(high: 0, low: 1)])
                _ = try store.claim(Fingerprint(high: 0, low: 1), seconds: 1)
            }
            let milliseconds = took.components.seconds * 1000 + took.components.attoseconds / 1_000_000_000_000_000
            return .fine("prices.store", "\(store.name) reads and writes, in \(milliseconds) ms")
        } catch {
            let remedy =
                arguments.redis == nil
                ? "make the folder writable for this user, or use --state none"
                : "try the same with redis-cli; prices are kept in memory meanwhile"
            return .error("prices.store", "\(error)", remedy)
        }
    }
}
