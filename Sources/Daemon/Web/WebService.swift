// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc
import Pipeline
import Reports
import ServiceLifecycle
import Settings
import Synchronization
import Telemetry
import Web

/// The daemon's pages, for as long as it runs; certificates and passwords are read again when their files change.
final class WebService: Service {
    private let address: String
    private let configuration: String?
    private let server: WebServer
    /// The files as they were when they were read last.
    private let read: Mutex<[String]>

    /// Serves pages; without a configuration and at the standard address, a failure to listen is a warning and the result is `nil`.
    init?(_ view: DaemonView, _ operation: OperationConfiguration) throws {
        guard operation.webAddress != "none" else { return nil }
        let pulse = Liveness(view.pool)
        let pages = try Pages(view, pulse)
        (address, configuration) = (operation.webAddress, operation.webFile)
        // Taken before they are read: what changes meanwhile is read again.
        read = Mutex(Self.stamps(address, configuration))
        let options = try Self.options(address, configuration)
        server = WebServer(
            options,
            quick: { Self.probe($0, pulse) },
            answer: { pages.answer($0) }
        )
        do throws(WebError) {
            try server.start()
        } catch {
            guard address == OperationConfiguration.standardAddress, configuration == nil else {
                Output.complain(error.description)
                throw Sysexit.unavailable
            }
            Log.warning("web.not_served", error.description)
            return nil
        }
        Log.info("web.serving", "pages and metrics at \(options.tls == nil ? "http" : "https")://\(address)/")
    }

    /// Reads certificates and passwords again if their files have changed; what cannot be used leaves the old ones in force.
    func refresh() {
        guard configuration != nil else { return }
        let found = Self.stamps(address, configuration)
        let isNew = read.withLock { read in
            defer { read = found }
            return read != found
        }
        guard isNew else { return }
        do {
            // An editor empties a file before it writes it: that is no order to ask for no password.
            guard found.first?.hasSuffix(" 0") == false else { throw Unfinished() }
            try server.reload(try Self.options(address, configuration))
            Log.info("web.reloaded", "certificates and passwords of the pages were read again")
        } catch {
            Log.error("web.not_reloaded", "\(error); the certificate and the passwords from before hold")
        }
    }

    /// Serves until the end; it began when it was made, so that an address that is taken is known before packets are looked at.
    func run() async {
        try? await gracefulShutdown()
        finish()
    }

    func finish() { server.finish() }

    private struct Unfinished: Error, CustomStringConvertible {
        var description: String { "the web configuration is empty or not there" }
    }

    private static func options(_ address: String, _ configuration: String?) throws -> WebOptions {
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

    /// Which files there are, when they were written, and their sizes; the configuration's is first.
    private static func stamps(_ address: String, _ configuration: String?) -> [String] {
        guard let configuration else { return [] }
        var names = [configuration]
        if let tls = (try? options(address, configuration))?.tls {
            names += [tls.certificate, tls.key]
            if let authorities = tls.clientAuthorities { names.append(authorities) }
        }
        return names.map { name in
            var status = stat()
            guard unsafe stat(name, &status) == 0 else { return " 0" }
            return "\(status.st_ino) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) \(status.st_size)"
        }
    }

    /// What runs on the loop itself, so it may take no lock that a store's client holds.
    private static func probe(_ request: WebRequest, _ pulse: Liveness) -> WebResponse? {
        guard request.path == "/-/healthy" else { return nil }
        return pulse.isAlive ? .text("pgweir is healthy.") : .text("a worker hangs.", status: 503)
    }
}
