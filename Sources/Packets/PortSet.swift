// SPDX-License-Identifier: Apache-2.0

/// A set of TCP ports with a constant-time test.
public struct PortSet: Sendable {
    private let words: [UInt64]
    /// The only port of the set; nothing a port can be if there are more, or none.
    private let only: UInt32
    /// Whether the set was given no port, which stands for "any port".
    public let isEmpty: Bool

    /// The set of `ports`.
    public init(_ ports: some Sequence<UInt16>) {
        var words = [UInt64](repeating: 0, count: 1024)
        var isEmpty = true
        var members = 0
        var last: UInt16 = 0
        for port in ports {
            members += port == last && members > 0 ? 0 : 1
            last = port
            words[Int(port >> 6)] |= 1 << UInt64(port & 63)
            isEmpty = false
        }
        self.words = words
        only = members == 1 ? UInt32(last) : .max
        self.isEmpty = isEmpty
    }

    /// Whether one of two ports is in the set, or the set stands for any.
    ///
    /// - Parameter ports: one port in the upper half, one in the lower.
    @inline(__always)
    func containsEither(of ports: UInt32) -> Bool {
        if ports &>> 16 == only || ports & 0xFFFF == only { return true }
        guard only == .max else { return false }
        return isEmpty || contains(UInt16(truncatingIfNeeded: ports))
            || contains(UInt16(truncatingIfNeeded: ports &>> 16))
    }

    /// Whether a packet to the lower one of two ports goes to a port of the set, or the set stands for any.
    ///
    /// - Parameter ports: the source port in the upper half, the destination's in the lower.
    @inline(__always)
    func isDestination(of ports: UInt32) -> Bool {
        if ports & 0xFFFF == only { return true }
        return only == .max && (isEmpty || contains(UInt16(truncatingIfNeeded: ports)))
    }

    /// Whether `port` is in the set.
    public func contains(_ port: UInt16) -> Bool {
        words[Int(port &>> 6)] & (1 &<< UInt64(port & 63)) != 0
    }
}
