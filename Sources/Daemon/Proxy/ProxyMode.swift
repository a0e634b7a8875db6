// SPDX-License-Identifier: Apache-2.0
import Glibc
import Pipeline
import ServiceLifecycle
import Telemetry

/// The daemon's other source: a relay that it attaches to, and perhaps started.
final class ProxyMode: Service {
    let feed: RelayFeed
    private let hub: RelayHub
    private let relay: RelayProcess?
    private let runner = Runner()
    /// Ports of clients' and servers' ends: what a tap there sees is the same traffic.
    let ports: [UInt16]
    let path: String

    /// Attaches to the relay at `path`; where none answers, starts one if so asked.
    ///
    /// - Throws: the exit code for the whole program, after saying what failed.
    init(_ proxy: ProxyConfiguration, workers: Int, logFormat: LogFormat) throws {
        path = proxy.path
        feed = RelayFeed(workers: workers)
        hub = RelayHub(path: path, feed: feed)
        var started: RelayProcess?
        var ports: [UInt16]?
        var refusal = ""
        // A relay that starts along with us needs a moment.
        for _ in 0..<(proxy.starts ? 1 : 50) {
            do throws(RelayHub.Refusal) {
                ports = try hub.attach()
                break
            } catch {
                refusal = error.reason
                guard refusal.hasPrefix("no relay") else { break }
                if !proxy.starts, Interrupt.wait(0.1) { break }
            }
        }
        if ports == nil, proxy.starts, refusal.hasPrefix("no relay") {
            started = try RelayProcess.start(proxy.arguments + ["--log-format", logFormat.rawValue], at: path)
            do throws(RelayHub.Refusal) { ports = try hub.attach() } catch { refusal = error.reason }
        } else if proxy.starts, ports != nil {
            Output.complain(
                "a relay serves \(path) already: attached to it; --listen and its like are those of that one."
            )
        }
        guard let ports else {
            Output.complain(refusal)
            started?.drain()
            throw Sysexit.unavailable
        }
        (relay, self.ports) = (started, ports)
    }

    /// Watches over the attachment until the end.
    func run() async {
        let complaint = "no thread for the relay: its end will not be noticed."
        await runner.run(complaint, isAwaited: false) { [hub] in hub.run() }
        finish()
    }

    /// Whether the daemon may end, once it was asked to: a relay that it started drains first.
    func isDrained(_ hasBegun: Bool) -> Bool {
        guard let relay else { return true }
        if !hasBegun {
            hub.expectEnd()
            relay.drain()
        }
        return hub.isAlone
    }

    func finish() {
        hub.finish()
        guard let relay else { return }
        var status: Int32 = 0
        _ = unsafe waitpid(relay.pid, &status, WNOHANG)
    }
}
