// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// A socket address as the system calls want it.
struct Address: Sendable, Equatable {
    let family: Int32
    /// A `sockaddr` of its family.
    let bytes: [UInt8]

    /// The address of a Unix socket; `nil` if the path is too long.
    init?(unix path: String) {
        guard let address = UnixAddress(path: path) else { return nil }
        (family, bytes) = (AF_UNIX, address.bytes)
    }

    private init(family: Int32, bytes: [UInt8]) {
        self.family = family
        self.bytes = bytes
    }

    /// The addresses of a host, in the order the system prefers.
    ///
    /// - Parameter isNumeric: asks nobody, and so takes no time.
    static func resolve(_ host: String, port: UInt16, isNumeric: Bool) -> Resolution {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV | (isNumeric ? AI_NUMERICHOST : AI_ADDRCONFIG)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let first = unsafe list else {
            return .failed(unsafe gai_strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)")
        }
        defer { unsafe freeaddrinfo(first) }
        var addresses: [Address] = []
        var next = unsafe Optional(first)
        while let entry = unsafe next, addresses.count < 8 {
            if let start = unsafe entry.pointee.ai_addr {
                let bytes = unsafe UnsafeRawBufferPointer(start: start, count: Int(entry.pointee.ai_addrlen))
                addresses.append(Address(family: unsafe entry.pointee.ai_family, bytes: unsafe Array(bytes)))
            }
            unsafe next = entry.pointee.ai_next
        }
        return addresses.isEmpty ? .failed("no address") : .found(addresses)
    }
}

/// What became of a name.
enum Resolution: Sendable {
    case found([Address])
    case failed(String)
}
