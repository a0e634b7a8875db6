// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Control
import Daemon
import Reports

/// `pgweir status`: what a running daemon has seen so far.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what the running daemon sees: users, budgets, patterns, open sessions, losses.",
        discussion: """
            Asks the daemon over its local socket; nothing is reset by asking.

            Exit codes: 0 shown, 64 usage, 69 no daemon answers.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @OptionGroup var socket: SocketOption
    @Option(help: "The form of the answer: for people, or one JSON object.") var format = Format.text
    @Option(help: "Lines of each table; of patterns in JSON, where all are given without it.") var top: Int?
    @Option(help: "What the first table adds up by: user, pattern, database or client.") var by = Grouping.user
    @Flag(inversion: .prefixedNo, help: "Colours; by default on a terminal unless NO_COLOR is set.") var color: Bool?

    func validate() throws {
        if let top, top < 1 { throw ValidationError("--top must be at least 1.") }
    }

    func run() throws {
        let isColored = color ?? (Output.isTerminal(1) && Output.environment("NO_COLOR") == nil)
        var request = ControlRequest("status")
        request.options["format"] = format.rawValue
        request.options["by"] = by.rawValue
        request.options["width"] = Output.columns(1).map { String($0) }
        request.options["color"] = isColored ? "yes" : "no"
        if let top { request.options["top"] = String(top) }
        try explainingErrors { try Output.write(try ControlClient.ask(request, at: socket.path)) }
    }
}
