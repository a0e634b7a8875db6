// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Attribution
import Capture
import Control
import Domain
import Glibc
import Packets
import Pipeline
import Quotas
import Reports
import Settings
import Verification

/// `pgweir doctor`: says in plain words what is missing, and what to do.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check rights, interfaces, traffic, servers and the configuration; name what is missing.",
        discussion: """
            Looks at the host, watches a few seconds of traffic, and asks the servers that are named. Changes nothing.

            Exit codes: 0 all is well, 1 there are warnings, 2 there are errors, 64 usage.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @Option(
        name: [.customShort("i"), .long],
        help: ArgumentHelp("An interface, 'any' or 'nflog:N'; may be given several times.", valueName: "name")
    )
    var interface: [String] = ["any"]
    @Option(name: [.short, .long], help: "Server ports, such as 5432,6432 (default: 5432).") var port: [PortList] = []
    @Option(help: ServerPlace.help) var server: [ServerPlace] = []
    @Option(help: ArgumentHelp("How long to watch the traffic.", valueName: "seconds")) var seconds = 5
    @Option(help: ArgumentHelp("A PostgreSQL server for 'run --activity'.", valueName: "conninfo"))
    var activity: [String] = []
    @Option(help: ArgumentHelp("A PgBouncer for 'run --pooler'.", valueName: "conninfo")) var pooler: [String] = []
    @Option(help: ArgumentHelp("A configuration to check.", valueName: "file")) var config: String?
    @Option(help: "The form of the answer: for people, or one JSON object a line.") var format = Format.text
    @OptionGroup var prices: ExplainArguments
    @OptionGroup var limits: BackendArguments
    @OptionGroup var socket: SocketOption

    func validate() throws {
        guard (0...3600).contains(seconds) else { throw ValidationError("--seconds must be from 0 to 3600.") }
    }

    func run() throws {
        var findings: [Finding] = []
        func tell(_ more: [Finding]) throws {
            findings += more
            for finding in more { try show(finding) }
        }
        try tell(HostChecks.all(interfaces: interface))
        try tell([configuration()].compactMap { $0 })
        try tell(activity.map { check(SessionDirectory(.server, parameters: $0), "server") })
        try tell(activity.compactMap { statements($0) })
        try tell(pooler.map { check(SessionDirectory(.pooler, parameters: $0), "pooler") })
        try tell(PricingChecks.all(prices))
        try tell(EnforcementChecks.all(limits))
        try tell([daemon()])
        if seconds > 0, findings.first?.level != .error { try tell(traffic()) }
        if findings.contains(where: { $0.level == .error }) { throw ExitCode(2) }
        if findings.contains(where: { $0.level == .warning }) { throw ExitCode(1) }
    }

    private func show(_ finding: Finding) throws {
        if format == .json {
            let entries = [
                ("name", finding.name), ("level", finding.level.rawValue), ("text", finding.text),
                ("remedy", finding.remedy),
            ]
            return try Output.write(KeyedLine(entries).bytes)
        }
        let isColored = Output.isTerminal(1) && Output.environment("NO_COLOR") == nil
        try Output.write(Array((finding.lines(isColored: isColored).joined(separator: "\n") + "\n").utf8))
    }

    private func configuration() -> Finding? {
        guard let config else { return nil }
        do throws(SettingsError) {
            _ = try ConfigurationFile.load(config)
            return .fine("configuration", "\(config) is valid")
        } catch {
            return .error("configuration", error.description, "mend the line that is named; the rest was not read")
        }
    }

    private func check(_ directory: SessionDirectory, _ name: String) -> Finding {
        do {
            let (version, sessions) = try directory.check()
            return .fine("\(name).reachable", "\(directory.name): \(version), \(sessions) sessions on the network")
        } catch {
            let remedy =
                name == "server"
                ? "try the same with psql; the role needs LOGIN and pg_monitor, no more"
                : "connect to the database 'pgbouncer' as one of its stats_users"
            return .error("\(name).reachable", "\(directory.name): \(error)", remedy)
        }
    }

    /// Whether the server can tell what it counted, so that everybody can check what is seen.
    private func statements(_ conninfo: String) -> Finding? {
        do throws(VerificationError) {
            _ = try StatementStatistics(conninfo, application: "pgweir doctor")
            return .fine("server.statements", "pg_stat_statements can be compared with what is seen (`pgweir verify`)")
        } catch {
            // That it cannot be reached is told already.
            if case .server = error { return nil }
            return .note("server.statements", "what is seen cannot be compared with what the server counts", "\(error)")
        }
    }

    private func daemon() -> Finding {
        do throws(ControlError) {
            _ = try ControlClient.ask(ControlRequest("status", ["top": "1"]), at: socket.path)
            return .fine("daemon", "a daemon answers at \(socket.path)")
        } catch {
            return .note("daemon", "no daemon answers at \(socket.path)", "`pgweir run -i …` starts one")
        }
    }

    private func traffic() -> [Finding] {
        var options = LiveTapOptions(interfaces: interface)
        if !port.isEmpty { options.ports = port.flatMap(\.ports) }
        options.servers = NamedServers(server.map(\.endpoint))
        options.ports = options.servers.ports(besides: options.ports, isStandard: port.isEmpty)
        options.buffer = 16 << 20
        options.limits.flows = 1 << 16
        let end = ContinuousClock.now + .seconds(seconds)
        Interrupt.install()
        let desk = LiveDesk(workers: 1, judgement: LiveJudgement(policy: .standard, prices: options.prices))
        let poolers = pooler.map { SessionDirectory(.pooler, parameters: $0) }
        let sides = SidesCheck(poolers, at: desk, after: Double(seconds) * 0.9)
        do throws(CaptureError) {
            let outcome = try Live.run(
                options,
                desk: desk,
                onReady: {},
                isStopped: { Interrupt.isRequested || ContinuousClock.now >= end }
            )
            if let failure = outcome.failure { throw failure }
            return TrafficChecks.all(outcome.result, seconds: seconds, options) + sides.findings
        } catch {
            return [.error("capture.tap", error.description, "see the text above")]
        }
    }
}
