// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon
import Explain

/// `pgweir explain-worker`: the process that parses tenants' statements for the daemon, so that a fault costs one answer.
struct ExplainWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: ExplainConfiguration.parserCommand,
        abstract: "Parse statements for a daemon, on standard input and output; started by the daemon.",
        shouldDisplay: false
    )

    func run() {
        Privileges.keepNone()
        ParserWorker.run()
    }
}
