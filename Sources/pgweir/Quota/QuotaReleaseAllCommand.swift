// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct QuotaReleaseAllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release-all",
        abstract: "Limit nobody for a time (default: an hour)."
    )
    @OptionGroup var order: QuotaOrder
    @Flag(help: "Limit as usual again.") var resume = false

    func run() throws { try order.give("release-all", resume ? ["resume": "yes"] : [:]) }
}
