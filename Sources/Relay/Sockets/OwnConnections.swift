// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Synchronization

/// The connections that this relay makes to servers, by their ports here: whether an accepted one is the other end of one.
///
/// All event loops share it without a lock. Of two connections from the same port the later one is remembered: a loop that
/// is missed once is seen at its next turn.
@safe final class OwnConnections: @unchecked Sendable {
    private let hashes: UnsafeMutablePointer<Atomic<UInt64>>
    private static let count = 65_536

    init() {
        unsafe hashes = .allocate(capacity: Self.count)
        for port in 0..<Self.count { unsafe (hashes + port).initialize(to: Atomic(0)) }
    }

    deinit { unsafe hashes.deallocate() }

    /// Remembers a connection that is being made to `target`, and gives its port here; 0: it has none.
    func remember(_ descriptor: Int32, to target: SocketAddress) -> UInt16 {
        guard let local = Socket.address(descriptor, .local) else { return 0 }
        let port = local.endpoint.port
        // In range: a port has 16 bits.
        unsafe hashes[Int(port)].store(Self.hash(local.endpoint, target.endpoint), ordering: .relaxed)
        return port
    }

    /// The connection from this port is over.
    func forget(port: UInt16) { unsafe hashes[Int(port)].store(0, ordering: .relaxed) }

    /// Whether a connection that was accepted, from a port, is one of them.
    func contains(_ descriptor: Int32, port: UInt16) -> Bool {
        let known = unsafe hashes[Int(port)].load(ordering: .relaxed)
        guard known != 0, let peer = Socket.address(descriptor, .remote), let here = Socket.address(descriptor, .local)
        else { return false }
        if known == Self.hash(peer.endpoint, here.endpoint) { return true }
        // netfilter's REDIRECT may have brought it here from where it was going.
        guard let there = Socket.originalDestination(descriptor) else { return false }
        return known == Self.hash(peer.endpoint, there.endpoint)
    }

    /// Never 0; of a quality for chance, not for malice: who connects to a server from the relay's own address may as well
    /// connect to the server.
    private static func hash(_ from: Endpoint, _ to: Endpoint) -> UInt64 {
        var result: UInt64 = 0x9E37_79B9_7F4A_7C15
        for word in [from.high, from.low, UInt64(from.port), to.high, to.low, UInt64(to.port)] {
            result = (result ^ word) &* 0xFF51_AFD7_ED55_8CCD
            result ^= result &>> 32
        }
        return result | 1
    }
}
