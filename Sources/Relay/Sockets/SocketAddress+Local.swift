// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc

/// Which addresses are those of this host.
extension SocketAddress {
    /// All addresses of its family: for a listener; whoever connects to it connects to this host.
    var isUnspecified: Bool { isIPv4 ? endpoint.low & 0xFFFF_FFFF == 0 : endpoint.high == 0 && endpoint.low == 0 }

    private var isLoopback: Bool {
        isIPv4 ? (endpoint.low >> 24) & 0xFF == 127 : endpoint.high == 0 && endpoint.low == 1
    }

    /// Whether connections to it stay on this host: then they would begin at the address where they end.
    var isLocal: Bool {
        if isUnspecified || isLoopback { return true }
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // Of UDP, nothing is sent by this.
        guard unsafe with({ unsafe Glibc.connect(descriptor, $0, $1) }) == 0 else { return false }
        guard let source = Socket.address(descriptor, .local) else { return false }
        return source.endpoint.high == endpoint.high && source.endpoint.low == endpoint.low
    }

    /// Whether connections to this address are accepted by a listener.
    func leads(to listener: Listener) -> Bool {
        let other = listener.address
        guard endpoint.port == other.endpoint.port else { return false }
        if other.isUnspecified {
            guard isIPv4 == other.isIPv4 || (isIPv4 && listener.takesIPv4) else { return false }
            return isLocal
        }
        guard isIPv4 == other.isIPv4 else { return false }
        if isUnspecified { return other.isIPv4 ? other.endpoint.low & 0xFFFF_FFFF == 0x7F00_0001 : other.isLoopback }
        return endpoint == other.endpoint
    }

    /// A listening socket, as far as its address goes.
    struct Listener: Sendable, Hashable {
        var address: SocketAddress
        /// Whether a listener at all IPv6 addresses accepts IPv4, too.
        var takesIPv4 = false

        init(address: SocketAddress, takesIPv4: Bool = false) { (self.address, self.takesIPv4) = (address, takesIPv4) }

        /// `nil`: of another family.
        init?(_ descriptor: Int32) {
            guard let address = Socket.address(descriptor, .local) else { return nil }
            self.address = address
            takesIPv4 = !address.isIPv4 && Socket.get(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY) == 0
        }
    }
}
