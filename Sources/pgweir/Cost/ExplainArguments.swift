// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

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

    @OptionGroup var keeping: StoreArguments

    var configuration: ExplainConfiguration {
        var configuration = ExplainConfiguration()
        (configuration.explain, configuration.allowsPrimary) = (explain, explainPrimary)
        (configuration.asTenant, configuration.lifetime) = (explainAsTenant, priceTtl)
        configuration.keeping = keeping.configuration
        return configuration
    }
}
