// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Costs
import Daemon
import Domain
import Fingerprints
import Platform

/// `pgweir cost set`: a price by a person's hand.
struct CostSetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Pin the price of a pattern: it holds until it is invalidated, whatever the planner says.",
        discussion: """
            A running daemon takes it within half a minute. A pattern that has no price yet is named by a statement and \
            --database. Exit codes: 0 done, 1 no such pattern, 64 usage, 69 the store does not answer.
            """
    )

    @OptionGroup var keeping: StoreArguments
    @OptionGroup var selection: CostSelection
    @OptionGroup var naming: CostNaming
    @Argument(help: "Units that one execution costs.") var units: Double

    func validate() throws {
        guard units >= 0, units <= 1e9 else { throw ValidationError("Units must be from 0 to 1000000000.") }
    }

    func run() throws {
        try explainingErrors {
            let store = try keeping.configuration.open()
            var prices = try selection.selection.find(naming.pattern, in: store, hash: try naming.hash)
            if prices.isEmpty, let made = try make() { prices = [made] }
            guard !prices.isEmpty else {
                Output.complain("no price is stored for '\(naming.pattern)'; name a statement and its --database.")
                throw ExitCode(1)
            }
            for index in prices.indices {
                prices[index].move(to: CostUnits(units: units), at: SystemClock.time())
                prices[index].method = .pinned
                prices[index].priced = SystemClock.time()
                (prices[index].failure, prices[index].failures) = ("", 0)
            }
            try store.store(prices)
            Output.complain("\(prices.count) price\(prices.count == 1 ? "" : "s") pinned at \(units) units.")
        }
    }

    /// A price for a pattern that nobody has seen yet.
    private func make() throws -> StoredPrice? {
        guard let database = selection.database, selection.table == nil else { return nil }
        let hash = try naming.hash
        let text = Array(naming.pattern.utf8)
        var normalizer = Normalizer(hash: hash)
        guard let sketch = normalizer.sketch(text.rawSpan, from: 0), text.contains(0x20) else { return nil }
        return StoredPrice(
            sketch: sketch,
            pattern: normalizer.patternText(text.rawSpan, sketch),
            cluster: keeping.cluster,
            database: database,
            hash: hash,
            at: SystemClock.time()
        )
    }
}

/// `pgweir cost invalidate`: prices are forgotten, and asked for again when they are needed.
struct CostInvalidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invalidate",
        abstract: "Forget prices, by pattern, table, database or method.",
        discussion: """
            A running daemon asks for them again within half a minute. Exit codes: 0 done (also when there was none), \
            64 usage, 69 the store does not answer.
            """
    )

    @OptionGroup var keeping: StoreArguments
    @OptionGroup var selection: CostSelection
    @Option(help: ArgumentHelp("A fingerprint (or its first digits), or a statement.", valueName: "pattern"))
    var pattern: String?
    @Flag(help: "Forget all prices.") var all = false
    @Option(help: ArgumentHelp("The configuration, for the key of fingerprints.", valueName: "file")) var config:
        String?

    func validate() throws {
        guard all || pattern != nil || !selection.selection.isEmpty else {
            throw ValidationError("Say which: --pattern, --table, --database, --method, or --all.")
        }
    }

    func run() throws {
        try explainingErrors {
            let store = try keeping.configuration.openExisting()
            let prices = try selection.selection.find(pattern, in: store, hash: try PolicySettings.hash(of: config))
            try store.remove(prices.map(\.key))
            Output.complain("\(prices.count) price\(prices.count == 1 ? "" : "s") forgotten.")
        }
    }
}
