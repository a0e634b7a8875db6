// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Control
import Dashboard
import Domain
import FoundationEssentials
import Glibc
import Reports
public import SQLiteStore

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
        var place = StoreArguments()
        place.state = state
        guard let folder = place.folder else { throw ValidationError("--state none keeps no history.") }
        let path = folder + "/" + HistoryService.fileName
        guard unsafe access(path, F_OK) == 0 else {
            Output.complain("there is no history at \(path); name the daemon's --state.")
            throw Sysexit.noInput
        }
        do {
            let store = try MinuteHistory(path: path, isReader: true)
            let model = try make(store, UserNames(socket: socket.path))
            switch format {
            case .json: try Output.write(Array(try JSONOutput.encoder.encode(model)) + [0x0A])
            case .html: try Output.write(Array(try Dashboard(version: Version.text).report(model).utf8))
            case .text:
                let isColored = color ?? (Output.isTerminal(1) && Output.environment("NO_COLOR") == nil)
                let style = TerminalStyle(width: Output.width(1), isColored: isColored)
                try Output.write(HistoryText(model, style: style).render())
            }
        } catch let error as HistoryError {
            Output.complain(error.description)
            throw Sysexit.ioError
        }
    }

    private func make(_ store: MinuteHistory, _ names: UserNames) throws -> ReportModel {
        let now = HistoryService.minute() + 1
        let to = now - (until?.seconds ?? 0) / 60
        var question = HistoryQuestion(from: now - since.seconds / 60, to: to, by: by, order: sort.rawValue, limit: top)
        question.user = user.map { names.id(of: $0) }
        var report = ReportModel()
        (report.from, report.to, report.time) = (question.from, to, Supervisor.time().rfc3339)
        report.step = max(1, (to - question.from) / 72)
        report.title = "Who ran what" + (user.map { ": \($0)" } ?? "")
        report.span = "\(ModelMaker.time(question.from * 60)) to \(ModelMaker.time(to * 60))"
        let groups = by == .pattern ? nil : try store.groups(question)
        question.grouping = .pattern
        let patterns = try store.groups(question)
        let total = patterns.total
        (report.calls, report.errors, report.rows, report.bytes) = (total.calls, total.errors, total.rows, total.bytes)
        (report.costUnits, report.costUnitsHigh) = (
            CostUnits(micro: total.low).units, CostUnits(micro: total.high).units
        )
        report.seconds = Double(total.time) / 1e9
        report.group = by == .database ? "Database" : "User"
        report.groups = (groups?.groups ?? []).map { group in
            var model = ModelMaker.user(group)
            if by == .database {
                model.name = group.database ?? "not known"
            } else {
                model.name = group.name ?? names.name(of: model.id)
            }
            model.utilization = ModelMaker.share(Double(group.sums.low), of: Double(total.low))
            return model
        }
        report.trend = try store.trend(question, step: report.step).map { ModelMaker.minute($0.minute, $0.sums) }
        let keys = patterns.groups.compactMap(\.fingerprint)
        let trends = try store.trends(of: keys, from: question.from, to: to, step: report.step)
        let first = question.from / report.step * report.step
        report.patterns = patterns.groups.map { group in
            var model = ModelMaker.pattern(group, of: total)
            let steps = group.fingerprint.flatMap { trends[$0] } ?? [:]
            model.trend = stride(from: first, to: to, by: Int64.Stride(report.step)).map {
                CostUnits(micro: steps[$0]?.low ?? 0).units
            }
            return model
        }
        return report
    }
}

extension HistoryGrouping: ExpressibleByArgument {}

/// Names of users, as the running daemon knows them; without one, users stay hashes.
struct UserNames {
    private let names: [String: String]

    init(socket: String) {
        var names: [String: String] = [:]
        if let answer = try? ControlClient.ask(ControlRequest("names"), at: socket) {
            for line in String(decoding: answer, as: UTF8.self).split(separator: "\n") {
                let halves = line.split(separator: "\t", maxSplits: 1)
                if halves.count == 2 { names[String(halves[0])] = String(halves[1]) }
            }
        }
        self.names = names
    }

    func name(of id: String) -> String? { names[id] }

    /// The hash of a name; what is no name that is known is taken for a hash.
    func id(of text: String) -> String { names.first { $0.value == text }?.key ?? text }
}
