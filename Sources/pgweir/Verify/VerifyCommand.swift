// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Control
import Daemon
import Domain
import Foundation
import Platform
import PostgresClient
import Reports
import Verification

/// `pgweir verify`: what a server counted against what the running daemon saw.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare what PostgreSQL counts (pg_stat_statements) with what the running daemon sees.",
        usage: "pgweir verify --activity <conninfo> [--for 60s] [<options>]",
        discussion: """
            Asks the server and the daemon at the start and at the end of a span, and prints for each user and database \
            how many statements the server counted, how many were seen, and why not all. Changes nothing, and resets \
            nothing. The role needs pg_monitor, and its database the extension pg_stat_statements.

            Exit codes: 0 all was seen, or what was not is accounted for; 1 something was not, 64 usage, 69 no daemon \
            answers, or the server counts nothing that can be read; 78 configuration.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @Option(help: ArgumentHelp("A PostgreSQL server that is tapped; may be repeated.", valueName: "conninfo"))
    var activity: [String] = []
    @Option(name: .customLong("for"), help: ArgumentHelp("How long, in seconds or as 60s, 5m, 1h.", valueName: "time"))
    var span = VerifySpan(seconds: 60)
    @Option(help: ArgumentHelp("A difference that is none.", valueName: "percent")) var tolerance = 1.0
    @Option(help: "The form of the answer: for people, or one JSON object for each server.") var format = Format.text
    @Option(help: ArgumentHelp("The daemon's configuration: its attribution.servers and socket.", valueName: "file"))
    var config: String?
    @OptionGroup var socket: SocketOption
    @Flag(inversion: .prefixedNo, help: "Colours; by default on a terminal unless NO_COLOR is set.") var color: Bool?

    func validate() throws {
        guard !activity.isEmpty else { throw ValidationError("Name a server with --activity, as for 'pgweir run'.") }
        guard (1...86_400).contains(span.seconds) else { throw ValidationError("--for must be from 1s to 1d.") }
        guard tolerance >= 0, tolerance <= 100 else { throw ValidationError("--tolerance must be from 0 to 100.") }
    }

    func run() throws {
        Interrupt.install()
        let path = socket.path
        try explainingErrors {
            do {
                let verifiers = try activity.map { conninfo in
                    let statistics = try StatementStatistics(conninfo, application: "pgweir verify")
                    let verifier = Verifier(statistics) {
                        try SeenSnapshot(json: try ControlClient.ask(ControlRequest("verify"), at: path))
                    }
                    verifier.tolerance = tolerance / 100
                    return verifier
                }
                for verifier in verifiers { try verifier.begin() }
                try wait(verifiers)
                let found = try verifiers.compactMap { try $0.finish() }
                for (index, comparison) in found.enumerated() { try show(comparison, index) }
                if !found.allSatisfy(\.isExplained) { throw ExitCode(1) }
            } catch let error as VerificationError {
                Output.complain("\(error).")
                throw Sysexit.unavailable
            } catch is DecodingError {
                Output.complain("the daemon at \(path) is of another version of pgweir.")
                throw Sysexit.unavailable
            }
        }
    }

    /// Looks who is connected, again and again, until the span is over; ^C ends it early.
    private func wait(_ verifiers: [Verifier]) throws {
        let end = SystemClock.now() + Double(span.seconds)
        while SystemClock.now() < end, !Interrupt.isRequested {
            for verifier in verifiers { try verifier.watch() }
            let effort = verifiers.map(\.effort).max() ?? 0
            let next = SystemClock.now() + max(0.5, effort * 20)
            Interrupt.wait(min(next, end) - SystemClock.now())
        }
    }

    private func show(_ comparison: Comparison, _ index: Int) throws {
        if format == .json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return try Output.write(Array(try encoder.encode(comparison)) + [0x0A])
        }
        let isColored = color ?? (Output.isTerminal(1) && Output.environment("NO_COLOR") == nil)
        let text = VerifyText(style: TerminalStyle(width: Output.columns(1), isColored: isColored))
        let heading = activity.count > 1 ? "Server \(index + 1)" : "Server"
        try Output.write(Array((index > 0 ? "\n" : "").utf8) + text.render(comparison, heading))
    }
}

/// Such as `60s`, or seconds.
struct VerifySpan: ExpressibleByArgument {
    var seconds: Int64

    init(seconds: Int64) { self.seconds = seconds }

    init?(argument: String) {
        guard let seconds = Int64(argument) ?? Length(argument: argument)?.seconds else { return nil }
        self.seconds = seconds
    }

    var defaultValueDescription: String { "\(seconds)s" }
}
