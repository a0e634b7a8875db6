// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Domain
import Glibc
import Platform
import Relay
import Systemd
public import Telemetry

/// `pgweir-relay`: forwards PostgreSQL connections, and hands a copy of the bytes to a daemon.
@main
struct PgweirRelay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pgweir-relay",
        abstract: "Forward PostgreSQL connections at once, and hand a copy of the bytes to 'pgweir run --mode proxy'.",
        discussion: """
            Moves bytes and parses none of them. A daemon attaches at --control; while none does, or when it cannot keep \
            up, queries flow all the same, and what was not copied is counted. SIGTERM drains: not ready, then no new \
            connections, then the end when the last session is over; a second one ends at once.

            Exit codes: 0 done, 64 usage, 69 no listener, control socket or takeover, 78 TLS files or a server that is the \
            relay itself.
            """
    )

    @Option(help: ArgumentHelp("Where clients come in; may be repeated.", valueName: "host:port")) var listen:
        [String] = []
    @Option(help: ArgumentHelp("A server, in the order of preference; may be repeated.", valueName: "host:port"))
    var upstream: [String] = []
    @Option(help: ArgumentHelp("The Unix socket for status, daemon and takeover.", valueName: "path"))
    var control = "/run/pgweir/relay.sock"
    @Option(help: "Event loops, a thread each (default: one a processor, at most 8).") var workers: Int?
    @Option(help: ArgumentHelp("The ring of each event loop: a power of two.", valueName: "MiB")) var ring = 16
    @Option(help: ArgumentHelp("Connections at once; more are refused (53300).", valueName: "count"))
    var maxConnections = 50_000
    @Option(help: ArgumentHelp("How long a server may take to accept.", valueName: "seconds")) var connectTimeout = 5.0
    @Option(help: ArgumentHelp("Connections accepted a second; the rest waits.", valueName: "count")) var acceptRate =
        0.0
    @Flag(help: "Tell servers the client's address: PROXY protocol, version 2.") var proxyProtocol = false
    @Flag(help: "Send connections that REDIRECT brought here on to where they were going.") var originalDestination =
        false
    @Option(help: ArgumentHelp("SO_MARK of connections to servers, for rules to know them.", valueName: "number"))
    var mark: UInt32 = 0
    @Option(help: ArgumentHelp("Where HTTP answers /-/healthy and /-/ready.", valueName: "host:port")) var health:
        String?
    @Option(
        help: ArgumentHelp(
            "How long to accept on after SIGTERM, not ready (default: 5 with --health, else 0).",
            valueName: "seconds"
        )
    )
    var drainDelay: Double?
    @Option(help: ArgumentHelp("How long sessions may then go on.", valueName: "seconds")) var drainTimeout = 30.0
    @Option(help: ArgumentHelp("End clients' TLS here, with this certificate (PEM).", valueName: "file"))
    var tlsCert: String?
    @Option(help: ArgumentHelp("Its key (PEM).", valueName: "file")) var tlsKey: String?
    @Flag(help: "Refuse clients without TLS.") var tlsRequired = false
    @Flag(help: "Speak TLS to the server.") var upstreamTls = false
    @Option(help: ArgumentHelp("Verify the server's certificate and name by these (PEM).", valueName: "file"))
    var upstreamCa: String?
    @Flag(help: "Take the listening sockets over from the relay at --control, which then drains.") var takeover = false
    @Option(help: "Log lines as text, logfmt or json.") var logFormat = LogFormat.text
    @Flag(help: "Print the status of the relay at --control as JSON.") var status = false

    func validate() throws {
        guard !status else { return }
        let names = upstream.compactMap { HostPort($0, defaultPort: 5432) }
        guard names.count == upstream.count else {
            throw ValidationError("--upstream is HOST or HOST:PORT; IPv6 addresses stand in [brackets].")
        }
        guard listen.allSatisfy({ HostPort($0) != nil }), health.map({ HostPort($0) != nil }) ?? true else {
            throw ValidationError("--listen and --health are HOST:PORT or PORT; IPv6 addresses stand in [brackets].")
        }
        if let workers, !(1...64).contains(workers) { throw ValidationError("--workers must be from 1 to 64.") }
        guard (1...1024).contains(ring), ring & (ring - 1) == 0 else {
            throw ValidationError("--ring must be a power of two from 1 to 1024.")
        }
        guard (1...1_000_000).contains(maxConnections) else {
            throw ValidationError("--max-connections must be from 1 to 1000000.")
        }
        // Neither infinity nor a number that is none is in any range.
        guard (0.1...3600).contains(connectTimeout) else {
            throw ValidationError("--connect-timeout must be from 0.1 to 3600 seconds.")
        }
        guard (0...1_000_000).contains(acceptRate) else {
            throw ValidationError("--accept-rate must be from 0 (no limit) to 1000000 connections a second.")
        }
        guard (0...86_400).contains(drainDelay ?? 0) else {
            throw ValidationError("--drain-delay must be from 0 to 86400 seconds.")
        }
        guard (0...86_400).contains(drainTimeout) else {
            throw ValidationError("--drain-timeout must be from 0 to 86400 seconds.")
        }
        guard tlsCert != nil || (tlsKey == nil && !tlsRequired) else {
            throw ValidationError("--tls-key and --tls-required need --tls-cert.")
        }
        if upstreamCa != nil, !upstreamTls { throw ValidationError("--upstream-ca needs --upstream-tls.") }
    }

    private var options: RelayOptions {
        var options = RelayOptions()
        options.listen = listen.compactMap { HostPort($0) }
        options.upstreams = upstream.compactMap { HostPort($0, defaultPort: 5432) }
        options.control = control
        options.workers = workers ?? max(1, min(8, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        options.ringBytes = ring << 20
        options.maxConnections = maxConnections
        options.connectTimeout = connectTimeout
        options.acceptRate = acceptRate
        options.sendsProxyHeader = proxyProtocol
        options.followsOriginalDestination = originalDestination
        options.mark = mark
        options.health = health.flatMap { HostPort($0) }
        // Who asks whether it is ready needs time to hear that it is not.
        options.drainDelay = drainDelay ?? (health == nil ? 0 : 5)
        options.drainTimeout = drainTimeout
        options.takesOver = takeover
        options.tls.certificate = tlsCert
        options.tls.key = tlsKey
        options.tls.isRequired = tlsRequired
        options.tls.upstream = upstreamTls
        options.tls.upstreamAuthority = upstreamCa
        return options
    }

    func run() throws {
        if status {
            guard let answer = Relay.ask("status", at: control) else {
                say(LogLine(.error, "relay.absent", "no relay answers at \(control)."))
                throw ExitCode(69)
            }
            print(answer)
            return
        }
        // Not in validate(): a misspelt option would be told as a missing one.
        guard !upstream.isEmpty || originalDestination else {
            throw ValidationError("Name a server, such as --upstream db:5432, or give --original-destination.")
        }
        do throws(RelayError) {
            let notifier = ServiceNotifier(environment: Self.environment)
            let onReady = { (line: String) in
                say(LogLine(.info, "relay.ready", line))
                if takeover { notifier.readyAsMain(line) } else { notifier.ready(line) }
            }
            try Relay.run(
                options,
                handed: handed,
                onReady: onReady,
                log: { event in
                    say(LogLine(event.isWarning ? .warning : .info, event.name, event.text))
                }
            )
        } catch {
            say(LogLine(.error, "relay.refused", error.description))
            switch error {
            case .badTLS, .loop: throw ExitCode(78)
            default: throw ExitCode(69)
            }
        }
    }

    /// Listening sockets that systemd left open for us (sd_listen_fds(3)).
    private var handed: [Int32] {
        guard Self.environment("LISTEN_PID").flatMap({ Int32($0) }) == getpid(),
            let count = Self.environment("LISTEN_FDS").flatMap({ Int32($0) }), (1...64).contains(count)
        else { return [] }
        return (3..<3 + count).map { $0 }
    }

    private static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    private func say(_ line: LogLine) {
        let isForJournal = Self.environment("JOURNAL_STREAM") != nil && isatty(2) == 0
        let now = SystemClock.time()
        let text = line.render(logFormat, program: "pgweir-relay", time: now.rfc3339, forJournal: isForJournal)
        let bytes = Array(text.utf8)
        _ = unsafe write(2, bytes, bytes.count)
    }
}

extension LogFormat: ExpressibleByArgument {}
