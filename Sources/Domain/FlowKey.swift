// SPDX-License-Identifier: Apache-2.0

/// One end of a TCP connection.
///
/// IPv4 addresses are kept as IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2).
public struct Endpoint: Hashable, Sendable, BitwiseCopyable {
    /// The first 8 bytes of the address.
    public var high: UInt64
    /// The last 8 bytes of the address.
    public var low: UInt64
    /// The TCP port.
    public var port: UInt16

    /// An IPv6 address and port.
    public init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    /// An IPv4 address and port.
    public init(ipv4 address: UInt32, port: UInt16) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(address), port: port)
    }
}

/// The two ends of a TCP connection in an order that does not depend on who sent a packet.
public struct FlowKey: Hashable, Sendable, BitwiseCopyable {
    // Five words without padding, so that comparing and storing a key is a handful of instructions.
    @usableFromInline var lowerHigh: UInt64
    @usableFromInline var lowerLow: UInt64
    @usableFromInline var upperHigh: UInt64
    @usableFromInline var upperLow: UInt64
    /// The lower end's port above the upper end's.
    @usableFromInline var ports: UInt64

    /// The numerically lower end.
    public var lower: Endpoint {
        Endpoint(high: lowerHigh, low: lowerLow, port: UInt16(truncatingIfNeeded: ports &>> 16))
    }
    /// The numerically higher end.
    public var upper: Endpoint {
        Endpoint(high: upperHigh, low: upperLow, port: UInt16(truncatingIfNeeded: ports))
    }

    /// A key of nothing.
    @inlinable
    public init() { (lowerHigh, lowerLow, upperHigh, upperLow, ports) = (0, 0, 0, 0, 0) }

    /// A key of two ends that are already in order.
    public init(lower: Endpoint, upper: Endpoint) {
        (lowerHigh, lowerLow) = (lower.high, lower.low)
        (upperHigh, upperLow) = (upper.high, upper.low)
        ports = UInt64(lower.port) &<< 16 | UInt64(upper.port)
    }

    /// The key of a packet, and whether its sender is the lower end.
    public static func make(source: Endpoint, destination: Endpoint) -> (key: FlowKey, fromLower: Bool) {
        if (source.high, source.low, source.port) <= (destination.high, destination.low, destination.port) {
            return (FlowKey(lower: source, upper: destination), true)
        }
        return (FlowKey(lower: destination, upper: source), false)
    }

    /// A key of two IPv4 ends, and whether the first is the lower one.
    ///
    /// - Parameters:
    ///   - addresses: the source address above the destination's, as they stand in the IPv4 header (RFC 791 §3.1).
    ///   - ports: the source port above the destination's, as they stand in the TCP header (RFC 9293 §3.1).
    @inlinable @inline(__always)
    public static func make(ipv4 addresses: UInt64, ports: UInt32) -> (key: FlowKey, fromLower: Bool) {
        let source = addresses &>> 32
        let destination = addresses & 0xFFFF_FFFF
        // The same order as that of whole ends: the addresses first, then the ports.
        let isLower = source == destination ? ports &>> 16 <= ports & 0xFFFF : source < destination
        var key = FlowKey()
        key.lowerLow = 0xFFFF_0000_0000 | (isLower ? source : destination)
        key.upperLow = 0xFFFF_0000_0000 | (isLower ? destination : source)
        key.ports = UInt64(isLower ? ports : ports &>> 16 | ports &<< 16)
        return (key, isLower)
    }

    /// A hash that is the same for both directions.
    @inlinable @inline(__always)
    public func hash(_ hash: KeyedHash) -> UInt64 {
        let addresses = hash.hash(lowerHigh ^ (upperHigh &* 0x9E37_79B9_7F4A_7C15), lowerLow)
        return hash.hash(addresses ^ upperLow, ports)
    }

    /// Whether both are keys of one connection.
    @inlinable @inline(__always)
    public static func == (left: FlowKey, right: FlowKey) -> Bool {
        (left.lowerLow ^ right.lowerLow) | (left.upperLow ^ right.upperLow) | (left.ports ^ right.ports)
            | (left.lowerHigh ^ right.lowerHigh) | (left.upperHigh ^ right.upperHigh) == 0
    }
}

extension Endpoint: CustomStringConvertible {
    /// `192.0.2.1:5432` or `[2001:db8::1]:5432` (RFC 5952 for the address).
    public var description: String {
        if high == 0, low >> 32 == 0xFFFF {
            let bytes = (0..<4).map { String((low >> (24 - 8 * UInt64($0))) & 0xFF) }
            return bytes.joined(separator: ".") + ":" + String(port)
        }
        return "[" + ipv6Text + "]:" + String(port)
    }

    private var ipv6Text: String {
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> (48 - 16 * UInt64(index % 4)))
        }
        var best = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || groups[index] != 0 {
            if index - start > max(best.count, 1) { best = start..<index }
            start = index + 1
        }
        let text = { (range: Range<Int>) in groups[range].map { String($0, radix: 16) }.joined(separator: ":") }
        return best.isEmpty ? text(0..<8) : text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
    }
}
