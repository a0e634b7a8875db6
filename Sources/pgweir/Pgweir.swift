// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon
import Glibc

/// The command line: each command has a file of its own.
@main
struct Pgweir: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pgweir",
        abstract: "Sees every PostgreSQL query without standing in its way.",
        discussion: """
            pgweir reads mirrored packets, never the database's data path: it reassembles connections, follows the \
            PostgreSQL protocol, groups statements into patterns, prices them, and keeps every user's budget.
            """,
        version: Version.text,
        subcommands: [
            ReplayCommand.self, RunCommand.self, StatusCommand.self, TopCommand.self, VerifyCommand.self,
            DoctorCommand.self,
            MirrorCommands.self, CostCommands.self, QuotaCommands.self, GuardCommand.self,
            AgentCommand.self, ExplainWorkerCommand.self, FingerprintCommand.self, ConfigCommands.self,
            ReportCommand.self,
        ]
    )

    /// Begins: what the configuration says of options is put among the words first.
    static func main() {
        do {
            var words = Array(CommandLine.arguments.dropFirst())
            if ["run", "agent", ExplainWorkerCommand._commandName].contains(words.first) { CrashPrivacy.begin() }
            try explainingErrors { words = try Launch.expand(words) }
            var command = try parseAsRoot(words)
            try command.run()
        } catch let end as ExitStatus {
            Glibc.exit(end.code)
        } catch {
            exit(withError: error)
        }
    }
}
