// SPDX-License-Identifier: Apache-2.0
public import Analytics
public import ArgumentParser
import Daemon
import Dashboard
import FoundationEssentials
import Glibc
import Reports
import SQLiteStore

/// `pgweir report`: who ran what over any span of the history.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Report who ran what over the last hours or days, from the daemon's history.",
        discussion: """
            Reads the history in the daemon's state folder; the daemon need not run. If it does, its local socket tells \
            the names of users. The HTML is one file that can be mailed.

            Exit codes: 0 done, 64 usage, 66 no history there, 74 it cannot be read or written.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, html }

    enum Order: String, ExpressibleByArgument, CaseIterable { case cost, time, calls, errors, rows }

    @Option(help: ArgumentHelp("How far back, such as 90m, 24h or 7d.", valueName: "time")) var since = Span(
        seconds: 86_400
    )
    @Option(help: ArgumentHelp("Where it ends, so far back (default: now).", valueName: "time")) var until: Length?
    @Option(help: "What is shown first: user, pattern or database.") var by = HistoryGrouping.user
    @Option(help: "By what it is sorted: cost, time, calls, errors or rows.") var sort = Order.cost
    @Option(help: "Lines of each table.") var top = 20
    @Option(help: ArgumentHelp("Only this user: a name, or a hash.", valueName: "user")) var user: String?
    @Option(help: "The form of the report: text, json or html.") var format = Format.text
    @Option(help: ArgumentHelp("The daemon's state folder (default: as for 'pgweir run').", valueName: "folder"))
    var state: String?
    @OptionGroup var socket: SocketOption
    @Flag(inversion: .prefixedNo, help: "Colours; by default on a terminal unless NO_COLOR is set.") var color: Bool?

    func validate() throws {
        guard (1...10_000).contains(top) else { throw ValidationError("--top must be from 1 to 10000.") }
        if let until, until.seconds >= since.seconds { throw ValidationError("--until must be nearer than --since.") }
    }

    func run() throws {
        guard let folder = StoreConfiguration(state: state).folder else {
            throw ValidationError("--state none keeps no history.")
        }
        let path = folder + "/" + HistoryReport.fileName
        guard unsafe access(path, F_OK) == 0 else {
            Output.complain("there is no history at \(path); name the daemon's --state.")
            throw Sysexit.noInput
        }
        do {
            let store = try MinuteHistory(path: path, isReader: true)
            let report = HistoryReport(
                since: since.seconds,
                until: until?.seconds ?? 0,
                by: by,
                order: sort.rawValue,
                top: top,
                user: user
            )
            let model = try report.make(store, UserNames(socket: socket.path))
            switch format {
            case .json: try Output.write(Array(try JSONOutput.encoder.encode(model)) + [0x0A])
            case .html: try Output.write(Array(try Dashboard(version: Version.text).report(model).utf8))
            case .text:
                let isColored = color ?? (Output.isTerminal(1) && Output.environment("NO_COLOR") == nil)
                let style = TerminalStyle(width: Output.columns(1), isColored: isColored)
                try Output.write(HistoryText(model, style: style).render())
            }
        } catch let error as HistoryError {
            Output.complain(error.description)
            throw Sysexit.ioError
        }
    }
}

extension HistoryGrouping: ExpressibleByArgument {}
