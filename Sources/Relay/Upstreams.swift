// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Synchronization

/// One address of a server, and the name that stands for it.
struct Upstream: Sendable, Hashable {
    var address: SocketAddress
    var host: String
}

/// The servers: what their names stand for, which can be reached, and which is asked first.
///
/// Healthy ones come first, in the order given; ones that failed last, so that they are tried when nothing else is left.
/// Whoever failed is asked again, by a connection, until it answers.
final class Upstreams: Sendable {
    struct State: Sendable {
        var name: HostPort
        var addresses: [SocketAddress]
        /// Those that did not answer last.
        var failed: Set<SocketAddress> = []

        var isHealthy: Bool { addresses.contains { !failed.contains($0) } }
    }

    private let states: Mutex<[State]>
    /// Grows whenever the order may have changed.
    let version = Atomic<Int>(1)
    private let isOver = Atomic<Bool>(false)
    private let mark: UInt32

    /// How often names are looked up again, and failed servers asked, s.
    private static let lookupInterval = 30.0, probeInterval = 1.0

    /// Looks the names up; `mark`: SO_MARK of questions to servers.
    init(_ names: [HostPort], mark: UInt32) {
        states = Mutex(names.map { State(name: $0, addresses: SocketAddress.resolve($0)) })
        self.mark = mark
    }

    /// What is known.
    var all: [State] { states.withLock { $0 } }

    /// Addresses in the order in which they are tried.
    var order: [Upstream] {
        let targets = all.flatMap { state in
            state.addresses.map { (isFailed: state.failed.contains($0), Upstream(address: $0, host: state.name.host)) }
        }
        return targets.filter { !$0.isFailed }.map(\.1) + targets.filter(\.isFailed).map(\.1)
    }

    /// A connection to `address` failed: others come first until it answers again.
    func noteFailure(_ address: SocketAddress) { note(address, isHealthy: false) }

    private func note(_ address: SocketAddress, isHealthy: Bool) {
        let isChanged = states.withLock { states in
            var isChanged = false
            for index in states.indices where states[index].addresses.contains(address) {
                let wasHealthy = !states[index].failed.contains(address)
                isChanged = isChanged || wasHealthy != isHealthy
                if isHealthy { states[index].failed.remove(address) } else { states[index].failed.insert(address) }
            }
            return isChanged
        }
        if isChanged { version.add(1, ordering: .releasing) }
    }

    /// Looks names up and asks failed servers until ``stop()``; for a thread of its own, since DNS may be slow.
    func watch() {
        var elapsed = 0.0
        while !isOver.load(ordering: .relaxed) {
            usleep(UInt32(Self.probeInterval * 1_000_000))
            elapsed += Self.probeInterval
            // A server that moved fails first.
            if elapsed >= Self.lookupInterval || all.contains(where: { !$0.isHealthy }) {
                elapsed = 0
                lookUp()
            }
            for address in all.flatMap(\.failed) where answers(address) { note(address, isHealthy: true) }
        }
    }

    func stop() { isOver.store(true, ordering: .relaxed) }

    private func lookUp() {
        for (index, state) in all.enumerated() {
            let addresses = SocketAddress.resolve(state.name)
            // A name that DNS does not know for a while keeps its addresses.
            guard !addresses.isEmpty, addresses != state.addresses else { continue }
            states.withLock { states in
                states[index].addresses = addresses
                states[index].failed.formIntersection(addresses)
            }
            version.add(1, ordering: .releasing)
        }
    }

    /// Whether a connection comes about; PostgreSQL does not log one that ends without a byte.
    private func answers(_ address: SocketAddress) -> Bool {
        let descriptor = Socket.connect(address, mark: mark)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&waiting, 1, 1000) == 1 else { return false }
        return Socket.pendingError(descriptor) == 0
    }
}
