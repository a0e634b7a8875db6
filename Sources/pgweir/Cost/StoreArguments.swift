// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Costs

/// Where prices are kept: the same for the daemon and for `pgweir cost`.
struct StoreArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The cluster's name, under which its prices are kept.", valueName: "name"))
    var cluster = "main"

    /// Whether anybody named a store.
    var isNamed: Bool { false }

    /// Opens it.
    func open() throws -> any CostStore { MemoryCostStore() }
}
