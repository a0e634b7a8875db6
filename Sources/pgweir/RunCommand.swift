// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Capture
import Domain
import Pipeline
import Reports

/// `pgweir run`: a live tap, metered as it goes.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Watch the queries on network interfaces as they pass, and report who ran what.",
        discussion: """
            Taps the interfaces with the kernel's packet ring: queries are copied, never held up. Runs until \
            interrupted (^C, SIGTERM) or for --duration, then prints the report; with --format ndjson it prints a \
            line for every statement at once. Needs root or CAP_NET_RAW.

            Exit codes: 0 done, 64 usage, 66 no such interface, 74 the interface failed, 77 not permitted, \
            78 configuration.
            """
    )

    @Option(
        name: [.customShort("i"), .long],
        help: ArgumentHelp("An interface, 'any', or 'nflog:N'; may be given several times.", valueName: "name")
    )
    var interface: [String] = []
    @Option(name: [.short, .long], help: "Server ports, such as 5432,6432 (default: 5432).") var port: [PortList] = []
    @Option(
        name: .short,
        help: ArgumentHelp(
            "Packets to look at, as in pcap-filter(7); without --port PostgreSQL is then recognized on any port.",
            valueName: "expression"
        )
    )
    var filter: String?
    @Option(help: ArgumentHelp("The kernel's ring of each tap, in MiB.", valueName: "MiB")) var buffer: Int32 = 64
    @Option(help: ArgumentHelp("The most bytes kept of a packet.", valueName: "bytes")) var snaplen: Int32 = 262_144
    @Option(help: "Threads; the kernel gives each its share of the connections.") var workers = 1
    @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "seconds")) var duration: Int?
    @OptionGroup var form: ReportArguments

    func validate() throws {
        guard !interface.isEmpty else { throw ValidationError("Name an interface, such as -i eth0 or -i any.") }
        guard (1...256).contains(workers) else { throw ValidationError("--workers must be from 1 to 256.") }
        guard (1...2047).contains(buffer) else { throw ValidationError("--buffer must be from 1 to 2047.") }
        guard (96...262_144).contains(snaplen) else { throw ValidationError("--snaplen must be from 96 to 262144.") }
        if let duration, duration < 1 { throw ValidationError("--duration must be at least 1.") }
        if workers > 1, form.format == .ndjson {
            throw ValidationError("--format ndjson needs one worker: its lines are in the order of the packets.")
        }
        if workers > 1, interface.contains(where: { $0.hasPrefix("nflog") }) {
            throw ValidationError("nflog cannot be shared among workers.")
        }
    }

    func run() throws {
        var options = LiveTapOptions(interfaces: interface)
        if !port.isEmpty {
            options.ports = port.flatMap(\.ports)
        } else if filter != nil {
            // Whoever selects packets by hand knows best: PostgreSQL is recognized on any port.
            options.ports = []
        }
        options.filter = filter
        options.buffer = buffer << 20
        options.snapLength = snaplen
        options.workers = workers
        try explainingErrors {
            let judgement = try form.judgement()
            (options.policy, options.prices, options.hash) = (judgement.policy, judgement.prices, judgement.hash)
            try tap(options)
        }
    }

    private func tap(_ options: LiveTapOptions) throws {
        Interrupt.install()
        let end = duration.map { ContinuousClock.now + .seconds($0) }
        let isStopped: @Sendable () -> Bool = {
            if Interrupt.isRequested { return true }
            guard let end else { return false }
            return ContinuousClock.now >= end
        }
        let onReady = {
            Output.complain("watching \(interface.joined(separator: ", ")); ^C ends it and prints the report.")
        }
        guard form.format == .ndjson else {
            let outcome = try Live.run(options, onReady: onReady, isStopped: isStopped)
            try Output.write(form.render(outcome.result))
            return try finish(outcome)
        }
        let failure = FailureBox()
        let outcome = try Live.run(
            options,
            recorder: failure.recorder(),
            onReady: onReady,
            isStopped: { isStopped() || failure.code != nil }
        )
        if let code = failure.code { throw code }
        try finish(outcome)
    }

    private func finish(_ outcome: LiveOutcome) throws {
        warn(outcome.result)
        if let failure = outcome.failure { throw failure }
    }

    private func warn(_ result: ReplayResult) {
        guard result.capture.kernelDropped > 0 else { return }
        Output.complain(
            "warning: the kernel dropped \(result.capture.kernelDropped) packets; give it a larger --buffer."
        )
    }
}
