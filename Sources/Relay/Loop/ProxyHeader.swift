// SPDX-License-Identifier: Apache-2.0
import Domain

/// The PROXY protocol, version 2 (HAProxy, "The PROXY protocol", section 2.2): whom a connection is relayed for.
enum ProxyHeader {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// The header of a connection that is nobody's but the relay's own (LOCAL).
    static let local: [UInt8] = signature + [0x20, 0x00, 0x00, 0x00]

    /// The header for a client's socket; `nil` when its ends are not known any more.
    static func bytes(_ descriptor: Int32) -> [UInt8]? {
        guard let source = Socket.address(descriptor, .remote), let target = Socket.address(descriptor, .local) else {
            return nil
        }
        return bytes(from: source, to: target)
    }

    static func bytes(from source: SocketAddress, to target: SocketAddress) -> [UInt8] {
        let isIPv4 = source.isIPv4 && target.isIPv4
        let addresses = [source, target].flatMap { end in
            isIPv4
                ? big(end.endpoint.low & 0xFFFF_FFFF, 4) : big(end.endpoint.high, 8) + big(end.endpoint.low, 8)
        }
        let ports = big(UInt64(source.endpoint.port), 2) + big(UInt64(target.endpoint.port), 2)
        let body = addresses + ports
        // Version 2, PROXY; then the family with STREAM.
        return signature + [0x21, isIPv4 ? 0x11 : 0x21] + big(UInt64(body.count), 2) + body
    }

    private static func big(_ number: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * (count - 1 - $0))) }
    }
}
