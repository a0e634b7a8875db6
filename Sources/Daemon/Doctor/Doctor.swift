// SPDX-License-Identifier: Apache-2.0
import Attribution
import Capture
import Control
import Domain
import Packets
public import Pipeline
import Quotas
import Settings
import Verification

/// What `pgweir doctor` looks at.
public struct Doctor {
    /// What is tapped: interfaces, ports, servers.
    public var tap: LiveTapOptions
    /// How long to watch the traffic, in seconds.
    public var seconds = 5
    /// PostgreSQL servers and PgBouncers that are asked.
    public var activity: [String] = [], pooler: [String] = []
    /// A configuration to check.
    public var config: String?
    /// The planner that would be asked, and where prices would be kept.
    public var prices = ExplainConfiguration()
    /// Where limits would be set.
    public var limits = BackendConfiguration()
    /// The daemon's local socket.
    public var socket: String

    /// A look at a tap, and at the daemon whose socket this is.
    public init(_ tap: LiveTapOptions, socket: String) { (self.tap, self.socket) = (tap, socket) }

    /// Looks at one thing after the other; `tell` gets what was found as it comes.
    public func run(_ tell: ([Finding]) throws -> Void) throws {
        let host = HostChecks.all(interfaces: tap.interfaces)
        // The first tells whether this process may capture.
        let mayCapture = host.first?.level != .error
        try tell(host)
        try tell([configuration()].compactMap { $0 })
        try tell(activity.map { check(SessionDirectory(.server, parameters: $0), "server") })
        try tell(activity.compactMap { statements($0) })
        try tell(pooler.map { check(SessionDirectory(.pooler, parameters: $0), "pooler") })
        try tell(PricingChecks.all(prices))
        try tell(EnforcementChecks.all(limits))
        try tell([daemon()])
        if seconds > 0, mayCapture { try tell(traffic()) }
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
            _ = try ControlClient.ask(ControlRequest("status", ["top": "1"]), at: socket)
            return .fine("daemon", "a daemon answers at \(socket)")
        } catch {
            return .note("daemon", "no daemon answers at \(socket)", "`pgweir run -i …` starts one")
        }
    }

    private func traffic() -> [Finding] {
        var options = tap
        options.buffer = 16 << 20
        options.limits.flows = 1 << 16
        let end = ContinuousClock.now + .seconds(seconds)
        Interrupt.install()
        let pool = WorkerPool(workers: 1, policy: PolicySnapshot(policy: .standard, prices: options.prices))
        let poolers = pooler.map { SessionDirectory(.pooler, parameters: $0) }
        let sides = SidesCheck(poolers, at: pool, after: Double(seconds) * 0.9)
        do throws(CaptureError) {
            let outcome = try Live.run(
                options,
                pool: pool,
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
