// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

/// `pgweir cost warm`: prices for what ran before, so that a lost store is rebuilt.
struct CostWarmCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "warm",
        abstract: "Price the statements of a log, a capture or a pg_stat_statements view, and store the prices.",
        discussion: """
            Those that are stored already are left alone. Of logs, csvlog tells databases; of others all is taken to have \
            run in --database. Statements that pg_stat_statements has cut or made unreadable are left out. \
            Exit codes: 0 done, 64 usage, 66 no input, 69 no server or store.
            """
    )

    @OptionGroup var server: ExplainArguments
    @Option(help: ArgumentHelp("A server whose pg_stat_statements is read.", valueName: "conninfo"))
    var statements: String?
    @Option(help: ArgumentHelp("A PostgreSQL log, plain or csvlog.", valueName: "file")) var log: [String] = []
    @Option(help: ArgumentHelp("A capture file.", valueName: "file")) var capture: [String] = []
    @Option(help: ArgumentHelp("The database of what does not say where it ran.", valueName: "name"))
    var database: String?
    @Option(help: "At most so many EXPLAINs a second.") var rate = 50.0
    @Option(help: ArgumentHelp("The configuration, for the key of fingerprints.", valueName: "file")) var config:
        String?

    func validate() throws {
        guard server.explain != nil else { throw ValidationError("Name the server to ask: --explain 'host=…'.") }
        guard statements != nil || !log.isEmpty || !capture.isEmpty else {
            throw ValidationError("Name what to read: --statements, --log or --capture.")
        }
        guard rate > 0, rate <= 100 else { throw ValidationError("--rate must be above 0 and at most 100.") }
    }

    func run() throws {
        try explainingErrors {
            let hash = try PolicySettings.hash(of: config)
            var collector = StatementCollector(cluster: server.keeping.cluster, database: database, hash: hash)
            if let statements { try collector.readStatistics(statements) }
            for path in log { try collector.readLog(path) }
            for path in capture { try collector.readCapture(path) }
            try PriceWarmer(server.configuration, rate: rate).price(collector)
        }
    }
}
