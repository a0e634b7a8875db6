// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Pipeline
import Reports
import ServiceLifecycle
import Settings
import Synchronization
import Telemetry
import Web

/// The daemon's pages: started with it, and started anew when certificates or passwords change.
final class WebService: Service {
    private let view: DaemonView
    private let address: String
    private let configuration: String?
    private let state: Mutex<State>
    private let pulse: Pulse

    private struct State {
        var server: WebServer?
        var stamps: [String] = []
    }

    /// Serves pages; where nobody asked for an address and the usual one is not to be had, the daemon does without.
    init?(_ view: DaemonView, _ operation: OperationConfiguration) throws {
        guard operation.webAddress != "none" else { return nil }
        pulse = Pulse(view.desk)
        (self.view, address, configuration) = (view, operation.webAddress, operation.webFile)
        state = Mutex(State())
        do {
            try start()
        } catch let error as WebError {
            guard address == OperationConfiguration.standardAddress, configuration == nil else {
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

    /// Serves until the end; it began when it was made, so that an address that is taken is known before packets are looked at.
    func run() async {
        try? await gracefulShutdown()
        finish()
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
        let pages = try Pages(view, pulse)
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

    /// What runs on the loop itself, so it may take no lock that a store's client holds.
    private func probe(_ request: WebRequest) -> WebResponse? {
        guard request.path == "/-/healthy" else { return nil }
        return pulse.isAlive ? .text("pgweir is healthy.") : .text("a worker hangs.", status: 503)
    }
}
