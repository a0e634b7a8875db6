// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
public import Explain
import Metering
import Pipeline

/// Which server tells prices, how it is asked, and where prices are kept.
public struct ExplainConfiguration: Sendable {
    /// A server whose planner prices statements, as a connection string; `nil`: none is asked.
    public var explain: String?
    /// The server may be a primary.
    public var allowsPrimary = false
    /// Log in there as the role that ran the statement.
    public var asTenant = false
    /// How long a worker holds a price, in seconds.
    public var lifetime: Int64 = 600
    /// Where prices are kept.
    public var keeping = StoreConfiguration()

    /// No planner, and prices in the usual place.
    public init() {}

    /// The hidden command of this program that parses tenants' statements.
    public static let parserCommand = "explain-worker"

    /// How the planner is asked.
    public var options: Explainer.Options? {
        guard let explain else { return nil }
        var options = Explainer.Options(parameters: explain)
        options.allowsPrimary = allowsPrimary
        options.asTenant = asTenant
        // Of the running program, also when a newer one was installed meanwhile.
        options.parserCommand = ["/proc/self/exe", Self.parserCommand]
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

    /// How workers ask for prices.
    var scheme: PricingScheme {
        PricingScheme(
            cluster: keeping.cluster,
            asTenant: asTenant,
            lifetime: lifetime * 1_000_000_000,
            source: isKept ? .planner : .durations
        )
    }

    /// Prices may be a planner's: one is asked, or somebody named a place for them.
    private var isKept: Bool { explain != nil || keeping.state != nil || keeping.redis != nil }

    /// What of a budget of memory is that of prices.
    private static func limits(_ memory: MemoryBudget) -> Pricer.Limits {
        var limits = Pricer.Limits()
        limits.rememberedBytes = memory.prices
        return limits
    }

    /// The daemon's service; `consoles`: poolers that tell what they call databases.
    ///
    /// Without a planner durations teach all the same; that is kept only where somebody named a place for it.
    func service(
        _ desk: LiveDesk,
        fallback: CostUnits,
        memory: MemoryBudget,
        consoles: [String]
    ) throws
        -> PricingService
    {
        let inMemory = MemoryCostStore(bytes: memory.storedPrices)
        let store = isKept ? try keeping.openForDaemon(else: inMemory) : inMemory
        let options = options
        return PricingService(desk, store: store, consoles: consoles, isCalm: options == nil) {
            Pricer(
                store: store,
                explainer: options.map { Explainer($0) },
                fallback: fallback,
                limits: Self.limits(memory)
            ) {
                Log.warning("pricing.problem", $0)
            }
        }
    }
}
