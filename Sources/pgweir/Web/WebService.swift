// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Pipeline
import Reports
import Settings
import Synchronization
import Telemetry
import Web

/// The daemon's pages: started with it, and started anew when certificates or passwords change.
final class WebService: Sendable {
    private let view: DaemonView
    private let address: String
    private let configuration: String?
    private let state: Mutex<State>
    /// The beats of the workers as probes saw them last, and when they changed.
    private let pulse = Mutex<(beats: [Int], changed: Double)>(([], -.infinity))

    private struct State {
        var server: WebServer?
        var stamps: [String] = []
    }

    /// Workers turn every 50 ms; a probe fails when one of them has not for so many seconds.
    private static let patience = 5.0

    /// Serves pages; where nobody asked for an address and the usual one is not to be had, the daemon does without.
    init?(_ view: DaemonView, _ arguments: OperationArguments) throws {
        guard arguments.webListen != "none" else { return nil }
        (self.view, address, configuration) = (view, arguments.webListen, arguments.webConfig)
        state = Mutex(State())
        do {
            try start()
        } catch let error as WebError {
            guard address == OperationArguments.standardAddress, configuration == nil else {
                Output.complain(error.description)
                throw Sysexit.unavailable
            }
            Log.warning("web.not_served", error.description)
            return nil
        }
        Log.info("web.serving", "pages and metrics at \(url)")
    }

    /// Looks for new certificates and passwords; a bad file leaves the old ones in force.
    func refresh() {
        guard configuration != nil else { return }
        let fresh = stamps()
        guard state.withLock({ $0.stamps != fresh }) else { return }
        state.withLock { $0.stamps = fresh }
        do {
            _ = try options()
            let old = state.withLock { $0.server }
            old?.finish()
            // The port is free a moment later.
            for attempt in 0..<20 {
                do {
                    try start()
                    break
                } catch let error as WebError where attempt < 19 {
                    if case .badCertificate = error { throw error }
                    usleep(100_000)
                }
            }
            Log.info("web.reloaded", "certificates and passwords of the pages were read again")
        } catch {
            Log.error("web.not_reloaded", "\(error)")
        }
    }

    func finish() { state.withLock { $0.server }?.finish() }

    private var url: String { "\((try? options())?.tls == nil ? "http" : "https")://\(address)/" }

    private func options() throws -> WebOptions {
        guard var options = WebOptions(address: address) else {
            throw WebError.cannotListen(address: address, reason: "not host:port")
        }
        guard let configuration else { return options }
        let web = try WebConfiguration(yaml: try TextFile.read(configuration), file: configuration)
        options.users = web.users
        if let certificate = web.certificate, let key = web.key {
            options.tls = WebOptions.TLSFiles(
                certificate: TextFile.resolve(certificate, beside: configuration),
                key: TextFile.resolve(key, beside: configuration),
                clientAuthorities: web.clientAuthorities.map { TextFile.resolve($0, beside: configuration) }
            )
        }
        return options
    }

    private func start() throws {
        let pages = try Pages(view)
        let server = WebServer(
            try options(),
            quick: { [self] in probe($0) },
            answer: { pages.answer($0) }
        )
        try server.start()
        let stamps = stamps()
        state.withLock { state in (state.server, state.stamps) = (server, stamps) }
    }

    /// When the files were written.
    private func stamps() -> [String] {
        guard let configuration else { return [] }
        var names = [configuration]
        if let options = try? options(), let tls = options.tls { names += [tls.certificate, tls.key] }
        return names.map { name in
            var status = stat()
            guard unsafe stat(name, &status) == 0 else { return "" }
            return "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec).\(status.st_size)"
        }
    }

    /// Probes wait for nothing and depend on no other server.
    private func probe(_ request: WebRequest) -> WebResponse? {
        switch request.path {
        case "/-/healthy":
            return isAlive ? .text("pgweir is healthy.") : .text("a worker hangs.", status: 503)
        case "/-/ready":
            let facts = view.now
            var lines = [isAlive ? "pgweir is ready." : "a worker hangs."]
            if let error = facts.reloadError { lines.append("degraded: the last reload failed: \(error)") }
            lines += (facts.quotas?.problems ?? []).map { "degraded: \($0)" }
            return .text(lines.joined(separator: "\n"), status: isAlive ? 200 : 503)
        default: return nil
        }
    }

    private var isAlive: Bool {
        let (beats, now) = (view.desk.beats, Supervisor.now())
        return pulse.withLock { pulse in
            if pulse.beats.count != beats.count || zip(pulse.beats, beats).allSatisfy({ $0 != $1 }) {
                pulse = (beats, now)
            }
            return now - pulse.changed < Self.patience
        }
    }
}
