// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// The connections that this process itself has, to servers and poolers that it asks.
enum OwnConnections {
    /// More descriptors are not looked at.
    private static let most: Int32 = 4096

    /// Their ends on this host (getsockname(2)).
    static var ends: Set<Endpoint> {
        var found: Set<Endpoint> = []
        for descriptor in 0..<most {
            var address = sockaddr_in6()
            var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
            let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe getsockname(descriptor, $0, &size)
                }
            }
            guard code == 0 else { continue }
            if let end = Self.end(address) { found.insert(end) }
        }
        return found
    }

    private static func end(_ address: sockaddr_in6) -> Endpoint? {
        let port = UInt16(bigEndian: address.sin6_port)
        switch Int32(address.sin6_family) {
        // A sockaddr_in has the address where this one has the flow label.
        case AF_INET: return Endpoint(ipv4: UInt32(bigEndian: address.sin6_flowinfo), port: port)
        case AF_INET6:
            let words = unsafe address.sin6_addr.__in6_u.__u6_addr32
            let high = UInt64(UInt32(bigEndian: words.0)) &<< 32 | UInt64(UInt32(bigEndian: words.1))
            let low = UInt64(UInt32(bigEndian: words.2)) &<< 32 | UInt64(UInt32(bigEndian: words.3))
            return Endpoint(high: high, low: low, port: port)
        default: return nil
        }
    }
}
