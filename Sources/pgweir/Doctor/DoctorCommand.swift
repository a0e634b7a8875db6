// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon
import Domain
import Pipeline
import Reports

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
        var options = LiveTapOptions(interfaces: interface)
        if !port.isEmpty { options.ports = port.flatMap(\.ports) }
        options.servers = NamedServers(server.map(\.endpoint))
        options.ports = options.servers.ports(besides: options.ports, isStandard: port.isEmpty)
        var doctor = Doctor(options, socket: socket.path)
        (doctor.seconds, doctor.activity, doctor.pooler, doctor.config) = (seconds, activity, pooler, config)
        (doctor.prices, doctor.limits) = (prices.configuration, limits.configuration)
        var levels: Set<Finding.Level> = []
        try doctor.run { findings in
            for finding in findings {
                levels.insert(finding.level)
                try show(finding)
            }
        }
        if levels.contains(.error) { throw ExitCode(2) }
        if levels.contains(.warning) { throw ExitCode(1) }
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
}
