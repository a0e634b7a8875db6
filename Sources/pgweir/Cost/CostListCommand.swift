// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Costs
import Daemon
import Domain
import Platform
import Reports

/// `pgweir cost list`: prices as they are stored.
struct CostListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the prices that are stored.")

    enum Order: String, ExpressibleByArgument, CaseIterable { case charge, cost, runs, age }
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, ndjson }

    @OptionGroup var keeping: StoreArguments
    @OptionGroup var selection: CostSelection
    @Option(help: "What the first lines have most of.") var by = Order.charge
    @Option(help: "At most so many lines.") var top = 50
    @Option(help: "The form of the list.") var format = Format.text

    func run() throws {
        try explainingErrors {
            let store = try keeping.configuration.openExisting()
            var prices = try selection.selection.find(nil, in: store, hash: .standard)
            prices.sort { left, right in
                switch by {
                case .charge: left.charge > right.charge
                case .cost: left.cost > right.cost
                case .runs: left.learned.runs > right.learned.runs
                case .age: left.priced < right.priced
                }
            }
            let now = SystemClock.time()
            var output = format == .text ? CostLine.heading : []
            for price in prices.prefix(max(1, top)) {
                output +=
                    format == .text
                    ? CostLine.text(price, now: now, width: Output.columns(1) ?? .max)
                    : CostLine.json(price, details: true)
            }
            try Output.write(output)
            if prices.count > top { Output.complain("\(prices.count - top) more; ask for them with --top.") }
        }
    }
}

/// `pgweir cost show`: what is known of one pattern's price, and why.
struct CostShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one pattern's price: how it came about, its plan's shape, its tables.",
        discussion: "Exit codes: 0 found, 1 not found, 64 usage, 69 the store does not answer."
    )

    @OptionGroup var keeping: StoreArguments
    @OptionGroup var selection: CostSelection
    @OptionGroup var naming: CostNaming
    @Option(help: "The form.") var format = CostListCommand.Format.text

    func run() throws {
        try explainingErrors {
            let prices = try naming.find(selection, keeping)
            for price in prices {
                try Output.write(
                    format == .text
                        ? CostLine.page(price, now: SystemClock.time()) + [0x0A] : CostLine.json(price, details: true)
                )
            }
        }
    }
}

/// The pattern that a command is about.
struct CostNaming: ParsableArguments {
    @Argument(help: "A fingerprint (or its first digits), or a statement in quotes.") var pattern: String
    @Option(help: ArgumentHelp("The configuration, for the key of fingerprints.", valueName: "file")) var config:
        String?

    var hash: KeyedHash {
        get throws { try PolicySettings.hash(of: config) }
    }

    /// The stored prices of that pattern; none is told, and ends the command.
    func find(_ selection: CostSelection, _ keeping: StoreArguments) throws -> [StoredPrice] {
        let prices = try selection.selection.find(pattern, in: try keeping.configuration.openExisting(), hash: try hash)
        guard !prices.isEmpty else {
            Output.complain("no price is stored for '\(pattern)'; 'pgweir cost list' shows those that are.")
            throw ExitCode(1)
        }
        return prices
    }
}
