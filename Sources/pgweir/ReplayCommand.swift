// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Capture
import Costs
import Daemon
import Domain
import Fingerprints
import Metering
import Pipeline
import Quotas
import Reports
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

    @Argument(help: "Capture files; '-' for standard input.") var files: [String] = []
    @Option(name: .short, help: ArgumentHelp("A capture file, as with tcpdump.", valueName: "file"))
    var read: [String] = []
    @Option(
        name: [.short, .long],
        help: "Server ports, such as 5432,6432. Without it PostgreSQL is recognized on any port by its start-up."
    )
    var port: [PortList] = []
    @Option(help: ServerPlace.help) var server: [ServerPlace] = []
    @Option(help: PoolerPlace.help) var poolerAt: [PoolerPlace] = []
    @Option(name: .short, help: ArgumentHelp("Packets to look at, as in pcap-filter(7).", valueName: "expression"))
    var filter: String?
    @Option(help: TunnelSender.help) var tunnelFrom: [TunnelSender] = []
    @Option(help: "Threads; the report does not depend on their number, as long as all patterns are kept.")
    var workers = 1
    @Option(
        help: """
            Patterns that are kept one by one, 1.4 KiB of memory each; of more, those that ran least recently are added up with others \
            of their user.
            """
    )
    var patterns = TableLimits.mostReplayed
    @OptionGroup var form: ReportArguments
    @Option(
        help: ArgumentHelp(
            "Another configuration: show whom --config would have limited and this one would not, when and why.",
            valueName: "file"
        )
    )
    var compare: String?
    @Flag(inversion: .prefixedNo, help: "A progress bar on standard error; by default on a terminal.")
    var progress: Bool?

    func validate() throws {
        guard !(files + read).isEmpty else {
            throw ValidationError("Name a capture file, or '-' for standard input.")
        }
        guard (1...256).contains(workers) else { throw ValidationError("--workers must be from 1 to 256.") }
        guard (1024...1 << 20).contains(patterns) else {
            throw ValidationError("--patterns must be from 1024 to 1048576.")
        }
        if compare != nil {
            guard form.config != nil else { throw ValidationError("--compare needs --config: the new policy.") }
            guard [.text, .json].contains(form.format) else {
                throw ValidationError("--compare needs --format text or json.")
            }
            guard !(files + read).contains("-") else {
                throw ValidationError("--compare reads the capture twice: it cannot be standard input.")
            }
        }
    }

    func run() throws {
        var options = ReplayOptions(paths: read + files)
        options.ports = port.flatMap(\.ports)
        options.poolers = PoolerAddresses(poolerAt.map(\.endpoint))
        options.servers = NamedServers(server.map(\.endpoint))
        options.ports = options.servers.ports(besides: options.ports, isStandard: false)
        if !tunnelFrom.isEmpty { options.tunnelSenders = AddressRanges(tunnelFrom.map(\.range)) }
        options.filter = filter
        options.tellsApplications = form.by == .application
        (options.workers, options.patterns) = (workers, patterns)
        try explainingErrors {
            let judgement = try form.policy()
            (options.policy, options.prices, options.hash) = (judgement.policy, judgement.prices, judgement.hash)
            if let compare { return try backtest(options, against: compare) }
            try report(options)
        }
    }

    /// Judges the capture by two configurations, each with its own prices.
    private func backtest(_ options: ReplayOptions, against old: String) throws {
        Interrupt.install()
        var form = form
        form.config = old
        var tests: [Backtest] = []
        for judgement in [try form.policy(), try self.form.policy()] {
            var options = options
            (options.policy, options.prices, options.hash) = (judgement.policy, judgement.prices, judgement.hash)
            options.keepsTimeline = true
            let bar = ProgressBar(isShown: progress ?? Output.isTerminal(2))
            let result = try Replay.run(options, onProgress: { bar.show($0) }, isCancelled: { Interrupt.isRequested })
            bar.clear()
            tests.append(Backtest(judgement.policy, result.timelines))
            warn(result)
        }
        let report = BacktestReport(old: tests[0], named: old, new: tests[1], named: self.form.config ?? "")
        if form.format == .json { return try Output.write(report.json()) }
        try Output.write(report.text(top: form.top ?? 20, style: form.style))
    }

    private func report(_ options: ReplayOptions) throws {
        Interrupt.install()
        let bar = ProgressBar(isShown: progress ?? Output.isTerminal(2))
        let isCancelled: @Sendable () -> Bool = { Interrupt.isRequested }
        let result: ReplayResult
        if form.format == .ndjson {
            let failure = FailureBox()
            result = try Replay.run(
                options,
                recorder: failure.recorder(),
                onProgress: { bar.show($0) },
                isCancelled: { isCancelled() || failure.code != nil }
            )
            bar.clear()
            if let code = failure.code { throw code }
        } else {
            result = try Replay.run(options, onProgress: { bar.show($0) }, isCancelled: isCancelled)
            bar.clear()
            try Output.write(form.look.render(result))
        }
        warn(result)
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
}
