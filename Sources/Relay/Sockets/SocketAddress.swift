// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc

/// An address of the Internet and a port, as socket calls take it.
struct SocketAddress: Sendable, Hashable {
    var endpoint: Endpoint
    /// Of a link-local IPv6 address.
    var scope: UInt32 = 0

    /// IPv4 addresses are kept as IPv4-mapped IPv6 addresses, and used as IPv4 again.
    var isIPv4: Bool { endpoint.high == 0 && endpoint.low &>> 32 == 0xFFFF }
    var family: Int32 { isIPv4 ? AF_INET : AF_INET6 }
    var text: String { endpoint.description }

    init(endpoint: Endpoint) { self.endpoint = endpoint }

    /// Reads what a socket call left; `nil`: another family.
    init?(_ storage: sockaddr_storage) {
        var storage = storage
        let family = Int32(storage.ss_family)
        let found: (Endpoint, UInt32)? = unsafe withUnsafeBytes(of: &storage) { bytes in
            // In range: a sockaddr_storage is larger than either.
            let port = UInt16(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            if family == AF_INET {
                let address = UInt32(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
                return (Endpoint(ipv4: address, port: port), 0)
            }
            guard family == AF_INET6 else { return nil }
            let high = UInt64(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            let low = UInt64(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            let scope = unsafe bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
            return (Endpoint(high: high, low: low, port: port), scope)
        }
        guard let found else { return nil }
        (endpoint, scope) = found
    }

    /// Calls `body` with the address as the socket calls want it.
    func with(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var storage = sockaddr_storage()
        storage.ss_family = sa_family_t(family)
        let isIPv4 = isIPv4
        unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            // In range: a sockaddr_storage is larger than either.
            unsafe bytes.storeBytes(of: endpoint.port.bigEndian, toByteOffset: 2, as: UInt16.self)
            if isIPv4 {
                let address = UInt32(truncatingIfNeeded: endpoint.low).bigEndian
                unsafe bytes.storeBytes(of: address, toByteOffset: 4, as: UInt32.self)
            } else {
                unsafe bytes.storeBytes(of: endpoint.high.bigEndian, toByteOffset: 8, as: UInt64.self)
                unsafe bytes.storeBytes(of: endpoint.low.bigEndian, toByteOffset: 16, as: UInt64.self)
                unsafe bytes.storeBytes(of: scope, toByteOffset: 24, as: UInt32.self)
            }
        }
        let size = isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, socklen_t(size)) }
        }
    }

    /// What a name stands for now; waits for DNS.
    static func resolve(_ name: HostPort, isPassive: Bool = false) -> [SocketAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = isPassive ? AI_PASSIVE : 0
        var list: UnsafeMutablePointer<addrinfo>?
        let host = name.host.isEmpty && !isPassive ? "localhost" : name.host
        let code = unsafe getaddrinfo(host.isEmpty ? nil : host, String(name.port), &hints, &list)
        guard code == 0 else { return [] }
        defer { unsafe freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var entry = unsafe list
        while let info = unsafe entry {
            var storage = sockaddr_storage()
            let size = unsafe min(Int(info.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            unsafe withUnsafeMutableBytes(of: &storage) { place in
                guard let source = unsafe info.pointee.ai_addr else { return }
                unsafe place.copyMemory(from: UnsafeRawBufferPointer(start: source, count: size))
            }
            if let address = SocketAddress(storage), !found.contains(address) { found.append(address) }
            unsafe entry = unsafe info.pointee.ai_next
        }
        return found
    }
}
