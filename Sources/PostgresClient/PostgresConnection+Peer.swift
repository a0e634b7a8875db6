// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc

extension PostgresConnection {
    /// Where the server is reached (getpeername(2)); `nil` on a Unix socket.
    public var peer: Endpoint? {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let descriptor = unsafe library.socket(connection)
        return unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                guard unsafe getpeername(descriptor, peer, &size) == 0 else { return nil }
                return unsafe Endpoint(socketAddress: peer)
            }
        }
    }
}
