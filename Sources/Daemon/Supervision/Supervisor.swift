// SPDX-License-Identifier: Apache-2.0
import Control
import Domain
import Glibc
import Metering
import Pipeline
import Platform
import Reports
import ServiceLifecycle
import Settings
import Synchronization
import Systemd
import Verification

/// Serves what is around the workers, on a thread of its own: the local socket, SIGHUP, the report that is written now and then.
final class Supervisor: Service {
    /// A report that is written to a file again and again, so that a crash loses one interval at most.
    struct Output: Sendable {
        var path: String
        var seconds: Double
        var render: @Sendable (ReplayResult) -> [UInt8]
    }

    private let view: DaemonView
    private var pool: WorkerPool { view.pool }
    private let server: ControlServer?
    private let web: WebService?
    private let notifier: ServiceNotifier
    private let output: Output?
    private let read: @Sendable () throws -> PolicySnapshot
    private let runner: Runner
    private var clock: any ServiceClock { runner.clock }
    /// How often it looks for what nobody tells it, in seconds.
    private static let pause = 0.25

    init(
        _ view: DaemonView,
        server: ControlServer?,
        web: WebService?,
        notifier: ServiceNotifier,
        output: Output?,
        clock: any ServiceClock = SystemClock(),
        policy: @escaping @Sendable () throws -> PolicySnapshot
    ) {
        runner = Runner(clock)
        self.view = view
        self.server = server
        self.web = web
        self.notifier = notifier
        self.output = output
        read = policy
    }

    /// There is something to look at, such as a signal.
    func wake() { runner.wake() }

    /// Serves until the end.
    func run() async {
        await runner.run("no thread for the local socket and reloads.") { [self] in serve() }
    }

    private func serve() {
        notifier.ready(state)
        defer { notifier.stopping() }
        // The first at once: a path that cannot be written is better known now.
        var lastOutput = -Double.infinity
        var complaint: String?
        var shedding = (0, false)
        var lastRefresh = 0.0
        while !runner.isFinished {
            if let server {
                let pause = Int32(Self.pause * 1000)
                server.serve(milliseconds: pause, or: runner.descriptor) { request throws(ControlError) in
                    try answer(request)
                }
                // What woke it is done with; it would wake it again and again.
                runner.rest(0)
            } else {
                runner.rest(Self.pause)
            }
            if Interrupt.takeReload() { reload() }
            let load = (pool.shedding, pool.isCutting)
            if load != shedding {
                shedding = load
                tell(load)
            }
            let now = clock.now()
            if now - lastRefresh >= 2 {
                lastRefresh = now
                web?.refresh()
            }
            if let output, now - lastOutput >= output.seconds {
                lastOutput = now
                let failure = write(output)
                if let failure, failure != complaint { Log.error("report.not_written", failure) }
                complaint = failure
            }
        }
    }

    /// What is left out under overload.
    private func tell(_ load: (rung: Int, isCutting: Bool)) {
        guard load.rung > 0 || load.isCutting else {
            return Log.warning("capture.overload_over", "overload is over: all is looked at again.")
        }
        let what =
            load.rung > 0
            ? "looks at 1 of \(1 << load.rung) connections."
            : "takes only the beginnings of large responses: statements that have such ones are uncertain."
        Log.warning("capture.overload", "overload: packets outrun a worker, which \(what)")
    }

    private var state: String {
        let facts = view.now
        return "watching \(facts.interfaces.joined(separator: ", "))"
    }

    private func answer(_ request: ControlRequest) throws(ControlError) -> [UInt8] {
        switch request.verb {
        case "status": return try status(request.options)
        case "names": return view.names
        case "verify":
            guard let seen = view.seen() else { throw .refused(reason: "a worker does not answer; ask again.") }
            return seen.json
        case "quota":
            guard let quotas = view.quotas else { throw .refused(reason: "this daemon keeps no quotas (--no-quotas).") }
            return try quotas.answer(request) { pool.evidence(against: $0) }
        default: throw .refused(reason: "'\(request.verb)' is not known to this version of the daemon.")
        }
    }

    private func status(_ options: [String: String]) throws(ControlError) -> [UInt8] {
        let top = options["top"].flatMap { Int($0) }
        guard top ?? 1 > 0, let grouping = Grouping(rawValue: options["by"] ?? "user") else {
            throw .refused(
                reason: "'top' must be a number from 1, and 'by' user, pattern, database, client or application."
            )
        }
        let snapshot = pool.snapshot()
        let users = snapshot.result.principals.dropFirst()
        guard grouping != .application || users.isEmpty || users.contains(where: { $0.application != nil }) else {
            throw .refused(reason: "applications are told apart by a daemon that was started with --by application.")
        }
        let status = StatusReport(snapshot, of: view.now, at: clock.time())
        if options["format"] == "json" { return status.json(top: top) }
        let width = options["width"].flatMap { Int($0) }.map { min(1000, max(40, $0)) }
        let style = TerminalStyle(width: width, isColored: options["color"] == "yes")
        return status.text(top: top ?? 10, by: grouping, style: style)
    }

    /// Reads the configuration again; if it is bad the old one goes on, which is said.
    private func reload() {
        notifier.reloading()
        var failure: String?
        do {
            let policy = try read()
            pool.apply(policy)
            view.quotas?.apply(policy.policy)
            Log.info("config.reloaded", "the configuration was read again; connections and counts go on.")
        } catch {
            let text = (error as? SettingsError)?.description ?? "\(error)"
            failure = text
            Log.error("config.not_reloaded", "the configuration was not taken, the old one holds: \(text)")
        }
        view.withFacts { facts in
            facts.reloads += 1
            facts.reloadError = failure
            if failure == nil { facts.configured = clock.time() }
        }
        notifier.ready(state)
    }

    /// Writes the report; returns why it could not be.
    private func write(_ output: Output) -> String? {
        do throws(SettingsError) {
            try TextFile.replace(output.path, with: output.render(pool.snapshot().result))
            return nil
        } catch {
            return "the report is not written: \(error.description)"
        }
    }
}
