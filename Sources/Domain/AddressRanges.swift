// SPDX-License-Identifier: Apache-2.0

/// A range of addresses by a prefix (RFC 4632 for IPv4, RFC 4291 §2.3 for IPv6).
public struct AddressRange: Sendable, Equatable, BitwiseCopyable {
    private var high: UInt64, low: UInt64
    private var highMask: UInt64, lowMask: UInt64

    /// A range as people write it: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`; `nil` if it is none.
    ///
    /// Bits behind the prefix do not count.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let end = Endpoint(address: String(first), port: 0) else { return nil }
        // IPv4 addresses are kept as IPv4-mapped ones; a prefix of one written as IPv6 is one of IPv6.
        let isIPv4 = !first.contains(":")
        var bits = 128
        if parts.count == 2 {
            let digits = parts[1]
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let given = Int(digits),
                given <= (isIPv4 ? 32 : 128)
            else { return nil }
            bits = isIPv4 ? given &+ 96 : given
        }
        // A shift by all 64 bits leaves nothing.
        highMask = ~(UInt64.max >> UInt64(min(bits, 64)))
        lowMask = ~(UInt64.max >> UInt64(max(bits, 64) &- 64))
        (high, low) = (end.high & highMask, end.low & lowMask)
    }

    /// Whether an address is in it, IPv4 as an IPv4-mapped one.
    @inline(__always)
    public func contains(high: UInt64, low: UInt64) -> Bool {
        ((high & highMask) ^ self.high) | ((low & lowMask) ^ self.low) == 0
    }
}

/// Some ranges of addresses.
public struct AddressRanges: Sendable, Equatable {
    private let ranges: [AddressRange]

    /// These ranges; without any, no address is in them.
    public init(_ ranges: [AddressRange] = []) { self.ranges = ranges }

    /// Whether an address is in one of them, IPv4 as an IPv4-mapped one.
    public func contains(high: UInt64, low: UInt64) -> Bool {
        for range in ranges where range.contains(high: high, low: low) { return true }
        return false
    }
}
