// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `pgweir cost`: the prices of patterns, one command a file.
struct CostCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cost",
        abstract: "Look at what patterns cost, try one, pin one, forget some.",
        subcommands: [
            CostListCommand.self, CostShowCommand.self, CostExplainCommand.self, CostSetCommand.self,
            CostInvalidateCommand.self, CostWarmCommand.self,
        ]
    )
}
