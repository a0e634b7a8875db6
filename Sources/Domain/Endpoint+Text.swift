// SPDX-License-Identifier: Apache-2.0
public import Glibc

extension Endpoint {
    /// An address in its usual text form (RFC 4291 §2.2, or dotted IPv4); `nil` if it is none.
    public init?(address: String, port: UInt16) {
        var four = in_addr()
        if unsafe inet_pton(AF_INET, address, &four) == 1 {
            self.init(ipv4: UInt32(bigEndian: four.s_addr), port: port)
            return
        }
        // A scope, as in fe80::1%eth0, is not in the packets.
        let plain = String(address.prefix { $0 != "%" && $0 != "/" })
        var six = in6_addr()
        guard unsafe inet_pton(AF_INET6, plain, &six) == 1 else { return nil }
        let bytes = unsafe withUnsafeBytes(of: &six) { unsafe Array($0) }
        let words = [bytes.prefix(8), bytes.suffix(8)].map { $0.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        self.init(high: words[0], low: words[1], port: port)
    }

    /// An address of the socket interface (ip(7), ipv6(7)); `nil` for other families.
    public init?(socketAddress: UnsafePointer<sockaddr>) {
        switch unsafe Int32(socketAddress.pointee.sa_family) {
        case AF_INET:
            let four = unsafe UnsafeRawPointer(socketAddress).loadUnaligned(as: sockaddr_in.self)
            self.init(ipv4: UInt32(bigEndian: four.sin_addr.s_addr), port: UInt16(bigEndian: four.sin_port))
        case AF_INET6:
            let six = unsafe UnsafeRawPointer(socketAddress).loadUnaligned(as: sockaddr_in6.self)
            let words = unsafe six.sin6_addr.__in6_u.__u6_addr32
            self.init(
                high: UInt64(UInt32(bigEndian: words.0)) &<< 32 | UInt64(UInt32(bigEndian: words.1)),
                low: UInt64(UInt32(bigEndian: words.2)) &<< 32 | UInt64(UInt32(bigEndian: words.3)),
                port: UInt16(bigEndian: six.sin6_port)
            )
        default: return nil
        }
    }

    /// An address and a port as ``description`` writes them: `192.0.2.1:5432` or `[2001:db8::1]:5432`; `nil` if it is none.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var address = text[..<colon]
        let isBracketed = address.first == "[" && address.last == "]"
        if isBracketed { address = address.dropFirst().dropLast() }
        guard isBracketed == address.contains(":") else { return nil }
        self.init(address: String(address), port: port)
    }
}
