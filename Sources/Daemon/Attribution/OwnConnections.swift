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
            var address = sockaddr_storage()
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let end = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { own in
                    unsafe getsockname(descriptor, own, &size) == 0 ? Endpoint(socketAddress: own) : nil
                }
            }
            if let end { found.insert(end) }
        }
        return found
    }
}
