// SPDX-License-Identifier: Apache-2.0

/// A set of TCP ports with a constant-time test.
public struct PortSet: Sendable {
    private let words: [UInt64]
    /// Whether the set was given no port, which stands for "any port".
    public let isEmpty: Bool

    /// The set of `ports`.
    public init(_ ports: some Sequence<UInt16>) {
        var words = [UInt64](repeating: 0, count: 1024)
        var isEmpty = true
        for port in ports {
            words[Int(port >> 6)] |= 1 << UInt64(port & 63)
            isEmpty = false
        }
        self.words = words
        self.isEmpty = isEmpty
    }

    /// Whether `port` is in the set.
    public func contains(_ port: UInt16) -> Bool {
        words[Int(port &>> 6)] & (1 &<< UInt64(port & 63)) != 0
    }
}
