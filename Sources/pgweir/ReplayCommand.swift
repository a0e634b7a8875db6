// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Capture
import Costs
import Domain
import Fingerprints
import Pipeline
public import Reports
import Settings

/// `pgweir replay`: a capture in, a priced and metered report out.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Report who ran what in a packet capture, what it cost, and against which budget.",
        discussion: """
            Reads pcap and pcapng, plain or gzip; '-' is standard input, as in 'tcpdump -w - port 5432 | pgweir \
            replay -'. Several files are read in the order given, as 'tcpdump -C' writes them.

            Exit codes: 0 done (also with warnings), 64 usage, 65 not a capture, 66 cannot open, 74 I/O, \
            78 configuration.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, ndjson }

    @Argument(help: "Capture files; '-' for standard input.") var files: [String] = []
    @Option(name: .short, help: ArgumentHelp("A capture file, as with tcpdump.", valueName: "file"))
    var read: [String] = []
    @Option(
        name: [.short, .long],
        help: "Server ports, such as 5432,6432. Without it PostgreSQL is recognized on any port by its start-up."
    )
    var port: [PortList] = []
    @Option(name: .short, help: ArgumentHelp("Packets to look at, as in pcap-filter(7).", valueName: "expression"))
    var filter: String?
    @Option(help: ArgumentHelp("Tiers, users and prices (YAML).", valueName: "file")) var config: String?
    @Option(help: "The form of the report: for people, one JSON object, or a line for every statement.")
    var format = Format.text
    @Option(help: "Threads; the report does not depend on their number.") var workers = 1
    @Option(help: "Lines of each table; of patterns in JSON, where all are given without it.") var top: Int?
    @Option(help: "What the first table adds up by: user, pattern, database or client.") var by = Grouping.user
    @Flag(inversion: .prefixedNo, help: "Colours; by default on a terminal unless NO_COLOR is set.") var color: Bool?
    @Flag(inversion: .prefixedNo, help: "A progress bar on standard error; by default on a terminal.")
    var progress: Bool?

    func validate() throws {
        guard !(files + read).isEmpty else {
            throw ValidationError("Name a capture file, or '-' for standard input.")
        }
        guard (1...256).contains(workers) else { throw ValidationError("--workers must be from 1 to 256.") }
        if let top, top < 1 { throw ValidationError("--top must be at least 1.") }
    }

    func run() throws {
        var options = ReplayOptions(paths: read + files)
        options.ports = port.flatMap(\.ports)
        options.filter = filter
        options.workers = workers
        do {
            try configure(&options)
            try report(options)
        } catch let error as CaptureError {
            Output.complain(error.description)
            throw exitCode(error)
        } catch let error as SettingsError {
            Output.complain(error.description)
            throw Sysexit.configuration
        }
    }

    private func configure(_ options: inout ReplayOptions) throws {
        guard let config else { return }
        let settings = try Settings(yaml: try TextFile.read(config), file: config)
        options.policy = settings.policy
        if let seed = settings.seed { options.hash = KeyedHash(seed: seed) }
        var prices: [Fingerprint: CostUnits] = [:]
        if let name = settings.priceFile {
            let path = TextFile.resolve(name, beside: config)
            var normalizer = Normalizer(hash: options.hash)
            for entry in try Settings.prices(yaml: try TextFile.read(path), file: path) {
                let sql = Array(entry.statement.utf8)
                guard
                    let key = Fingerprint(entry.statement)
                        ?? normalizer.sketch(sql.rawSpan, from: 0).map(\.fingerprint)
                else { continue }
                prices[key] = entry.price
            }
        }
        options.prices = PriceList(prices: prices, fallback: settings.defaultPrice)
    }

    private func report(_ options: ReplayOptions) throws {
        Interrupt.install()
        let bar = ProgressBar(isShown: progress ?? Output.isTerminal(2))
        let isCancelled: @Sendable () -> Bool = { Interrupt.isRequested }
        let result: ReplayResult
        if format == .ndjson {
            let failure = FailureBox()
            let recorder = NDJSONRecorder { bytes in
                guard failure.code == nil else { return }
                do throws(ExitCode) { try Output.write(bytes) } catch { failure.code = error }
            }
            result = try Replay.run(
                options,
                recorder: recorder,
                onProgress: { bar.show($0) },
                isCancelled: { isCancelled() || failure.code != nil }
            )
            bar.clear()
            if let code = failure.code { throw code }
        } else {
            result = try Replay.run(options, onProgress: { bar.show($0) }, isCancelled: isCancelled)
            bar.clear()
            try Output.write(render(result))
        }
        warn(result)
    }

    private func render(_ result: ReplayResult) -> [UInt8] {
        if format == .json { return JSONReport(result, top: top).render() }
        let isColored = color ?? (Output.isTerminal(1) && Output.environment("NO_COLOR") == nil)
        let style = TerminalStyle(width: Output.width(1), isColored: isColored)
        return TextReport(result, top: top ?? 10, by: by, style: style).render()
    }

    private func warn(_ result: ReplayResult) {
        if result.capture.cutFiles > 0 {
            Output.complain("warning: the capture ends in the middle of a packet; the report holds what is before.")
        }
        if result.capture.damagedFiles > 0 {
            Output.complain("warning: the capture is damaged; the report holds what is before the damage.")
        }
        if result.isCancelled { Output.complain("stopped; the report holds what was read so far.") }
    }

    private func exitCode(_ error: CaptureError) -> ExitCode {
        switch error {
        case .cannotOpen: Sysexit.noInput
        case .notACapture, .badCompression, .filterLinkType: Sysexit.dataError
        case .cannotRead: Sysexit.ioError
        case .badFilter: Sysexit.usage
        }
    }
}

extension Grouping: ExpressibleByArgument {}

/// Such as `5432,6432`.
struct PortList: ExpressibleByArgument {
    var ports: [UInt16]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        ports = parts.compactMap { UInt16($0) }.filter { $0 > 0 }
        guard ports.count == parts.count else { return nil }
    }
}
