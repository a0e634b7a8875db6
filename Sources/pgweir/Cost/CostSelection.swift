// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import Costs
import Daemon

/// Which stored prices a command is about.
struct CostSelection: ParsableArguments {
    @Option(help: ArgumentHelp("Patterns of this database only.", valueName: "name")) var database: String?
    @Option(help: ArgumentHelp("Patterns that use this table, as name or schema.name.", valueName: "name"))
    var table: String?
    @Option(help: "Prices that came about this way: generic, literal, utility, pinned, failed.") var method:
        PriceMethod?

    var selection: PriceSelection { PriceSelection(database: database, table: table, method: method) }
}

extension PriceMethod: ExpressibleByArgument {}
