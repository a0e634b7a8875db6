// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Platform
import Synchronization

/// The servers: what their names stand for, which can be reached, and which is asked first.
///
/// Healthy ones come first, in the order given; ones that failed last, so that they are tried when nothing else is left.
/// One that failed is healthy again once a probe, or a connection, finds that it answers.
final class Upstreams: Sendable {
    private let list: Mutex<UpstreamList>
    /// Grows whenever the order may have changed.
    let version = Atomic<Int>(1)
    private let isOver = Atomic<Bool>(false)
    /// Ends the pause between two looks.
    private let stopping = WakeUp()
    private let probe: UpstreamProbe
    private let listeners: [SocketAddress.Listener]

    /// How often names are looked up again, and failed servers asked, s.
    private static let lookupInterval = 30.0, probeInterval = 1.0

    /// Looks the names up; `listeners` are the relay's own, and `probe` asks the servers that failed.
    init(_ names: [HostPort], listeners: [SocketAddress.Listener] = [], probe: UpstreamProbe = UpstreamProbe()) {
        var list = UpstreamList(names)
        for (index, name) in names.enumerated() { _ = list.set(SocketAddress.resolve(name), of: index) }
        self.list = Mutex(list)
        (self.listeners, self.probe) = (listeners, probe)
    }

    /// A server that is the relay itself.
    var loop: (name: HostPort, address: SocketAddress)? {
        for state in all {
            if let address = state.addresses.first(where: { leadsHere($0) }) { return (state.name, address) }
        }
        return nil
    }

    private func leadsHere(_ address: SocketAddress) -> Bool { listeners.contains { address.leads(to: $0) } }

    /// What is known.
    var all: [UpstreamList.State] { list.withLock { $0.states } }

    /// Addresses in the order in which they are tried.
    var order: [Upstream] { list.withLock { $0.order } }

    /// A connection to `upstream` failed: others come first until it answers again.
    ///
    /// Where the server itself did not answer, that holds for its address under every name; where TLS failed, it may be
    /// a matter of the name.
    func noteFailure(_ upstream: Upstream, ofTLS: Bool) {
        change { list in
            list.note(isHealthy: false) { ofTLS ? $0.serial == upstream.serial : $0.address == upstream.address }
        }
    }

    /// A connection to `upstream` came about, with TLS where that is asked for.
    func noteSuccess(_ upstream: Upstream) {
        change { $0.note(isHealthy: true) { $0.serial == upstream.serial } }
    }

    private func change(_ body: (inout UpstreamList) -> Bool) {
        if list.withLock({ body(&$0) }) { version.add(1, ordering: .releasing) }
    }

    /// Looks names up and asks failed servers until ``stop()``; for a thread of its own, since DNS may be slow.
    func watch() {
        var elapsed = 0.0
        while !isOver.load(ordering: .relaxed) {
            if stopping.wait(Self.probeInterval) { continue }
            elapsed += Self.probeInterval
            // A server that moved fails first.
            if elapsed >= Self.lookupInterval || all.contains(where: { !$0.isHealthy }) {
                elapsed = 0
                lookUp()
            }
            let asked = list.withLock { $0.due(at: RelayWorker.steady()) }
            guard !asked.isEmpty else { continue }
            let answers = probe.ask(asked)
            let now = RelayWorker.steady()
            change { list in
                var isChanged = false
                for (upstream, answer) in zip(asked, answers) {
                    isChanged = list.take(answer, of: upstream, at: now) || isChanged
                }
                return isChanged
            }
        }
    }

    func stop() {
        isOver.store(true, ordering: .relaxed)
        stopping.wake()
    }

    private func lookUp() {
        for (index, state) in all.enumerated() {
            let addresses = SocketAddress.resolve(state.name)
            // A name that DNS does not know for a while keeps its addresses.
            guard !addresses.isEmpty else { continue }
            // One that has come to mean the relay itself is left without any.
            let others = addresses.filter { !leadsHere($0) }
            change { $0.set(others, of: index) }
        }
    }
}
