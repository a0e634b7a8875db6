// SPDX-License-Identifier: Apache-2.0

/// The 128-bit key of a statement pattern: equal for statements that differ only in literals, case and white space.
///
/// It depends on the seed of the ``KeyedHash`` it was made with; nodes that share a store must share the seed.
public struct Fingerprint: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// The more significant 64 bits.
    public var high: UInt64
    /// The less significant 64 bits.
    public var low: UInt64

    /// A fingerprint from its two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The fingerprint of a statement whose text was never seen, such as one prepared before the capture began.
    public static let unknown = Fingerprint(high: 0, low: 0)

    /// Orders by the 128-bit value, so that reports are the same from run to run.
    public static func < (left: Fingerprint, right: Fingerprint) -> Bool {
        left.high == right.high ? left.low < right.low : left.high < right.high
    }
}

extension Fingerprint: CustomStringConvertible {
    /// 32 lower-case hexadecimal digits.
    public var description: String { Self.hexadecimal(high) + Self.hexadecimal(low) }

    /// Reads 32 hexadecimal digits, upper or lower case; `nil` for any other text.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 32, text.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
