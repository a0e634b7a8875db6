// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Costs
import Daemon
import Explain
import FoundationEssentials
import Reports

/// `pgweir cost explain`: statements in, the planner's generic prices out.
struct CostExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Price statements by hand: nothing is executed and nothing is kept.",
        discussion: """
            Statements stand as arguments, or on standard input one a line; with --input ndjson a line is an object \
            {"sql": "…"}. Exit codes: 0 all priced, 1 some were not, 64 usage, 65 bad input, 69 no server.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, ndjson }

    @OptionGroup var server: ExplainArguments
    @Option(help: "What a line of the input is.") var input = Format.text
    @Option(help: "What a line of the output is.") var format = Format.text
    @Option(help: ArgumentHelp("The search_path to plan under.", valueName: "schemas")) var searchPath: String?
    @Option(help: ArgumentHelp("The database, if not that of --explain.", valueName: "name")) var database: String?
    @Option(help: ArgumentHelp("The role to log in as, with --explain-as-tenant.", valueName: "name")) var user: String?
    @Flag(help: ArgumentHelp("List the checks that a statement passes.", visibility: .hidden)) var listChecks = false
    @Argument(help: "Statements.") var statement: [String] = []

    private struct Line: Decodable { var sql: String }

    func validate() throws {
        guard server.explain != nil || listChecks else {
            throw ValidationError("Name the server to ask: --explain 'host=… dbname=… user=…'.")
        }
    }

    mutating func run() throws {
        if listChecks {
            return try Output.write(SafetyChecks.Name.allCases.flatMap { Array($0.rawValue.utf8) + [0x0A] })
        }
        guard let options = server.configuration.options else { return }
        var pricer = StatementPricer(options, database: database, user: user, searchPath: searchPath)
        var hasFailures = false
        let decoder = JSONDecoder()
        var waiting = statement.reversed() as [String]
        let readsInput = statement.isEmpty
        while let line = readsInput ? readLine(strippingNewline: true) : waiting.popLast() {
            guard !line.isEmpty else { continue }
            var sql = line
            if readsInput, input == .ndjson {
                guard let object = try? decoder.decode(Line.self, from: Data(line.utf8)) else {
                    Output.complain("a line of the input is no object with a string \"sql\".")
                    throw Sysexit.dataError
                }
                sql = object.sql
            }
            let price = try pricer.price(sql)
            if price.method == .failed { hasFailures = true }
            try Output.write(
                format == .ndjson
                    ? CostLine.json(price, details: true) : CostLine.page(price, now: price.priced) + [0x0A]
            )
        }
        if hasFailures { throw ExitCode(1) }
    }
}
