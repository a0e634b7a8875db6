// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Costs
import Domain
import Explain
import Pipeline

/// Which server tells prices, and how it is asked: the same for the daemon and for `pgweir cost`.
struct ExplainArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A read replica whose planner prices statements: a connection string, URI or service=NAME.",
            valueName: "conninfo"
        )
    )
    var explain: String?
    @Flag(help: "The server of --explain may be a primary.") var explainPrimary = false
    @Flag(
        help: """
            Log in at --explain as the role that ran the statement (let it in by certificate or password file): then its \
            own rights and row-level security decide.
            """
    )
    var explainAsTenant = false
    @Option(
        help: ArgumentHelp(
            "How long a worker holds a price before it looks for a newer one, in seconds.",
            valueName: "seconds"
        )
    )
    var priceTtl: Int64 = 600

    func validate() throws {
        guard (1...86_400).contains(priceTtl) else { throw ValidationError("--price-ttl must be from 1 to 86400.") }
    }

    var options: Explainer.Options? {
        guard let explain else { return nil }
        var options = Explainer.Options(parameters: explain)
        options.allowsPrimary = explainPrimary
        options.asTenant = explainAsTenant
        // Of the running program, also when a newer one was installed meanwhile.
        options.parserCommand = ["/proc/self/exe", ExplainWorkerCommand._commandName]
        options.checks = Self.checks
        return options
    }

    /// All checks; debug builds take the name of one to leave out, for the test of the checks.
    private static var checks: SafetyChecks {
        #if DEBUG
        if let name = Output.environment("PGWEIR_EXPLAIN_WITHOUT") {
            return SafetyChecks(without: SafetyChecks.Name(rawValue: name))
        }
        #endif
        return .all
    }

    @OptionGroup var keeping: StoreArguments

    /// How workers ask for prices.
    var scheme: PricingScheme {
        PricingScheme(
            cluster: keeping.cluster,
            asTenant: explainAsTenant,
            lifetime: priceTtl * 1_000_000_000,
            source: isKept ? .planner : .durations
        )
    }

    /// Prices may be a planner's: one is asked, or somebody named a place for them.
    private var isKept: Bool { explain != nil || keeping.state != nil || keeping.redis != nil }

    /// The daemon's service; `consoles`: poolers that tell what they call databases.
    ///
    /// Without a planner durations teach all the same; that is kept only where somebody named a place for it.
    func service(_ desk: LiveDesk, fallback: CostUnits, consoles: [String]) throws -> PricingService {
        let store = isKept ? try keeping.openForDaemon() : MemoryCostStore()
        let options = options
        return PricingService(desk, store: store, consoles: consoles, isCalm: options == nil) {
            Pricer(store: store, explainer: options.map { Explainer($0) }, fallback: fallback) {
                Log.warning("pricing.problem", $0)
            }
        }
    }
}
