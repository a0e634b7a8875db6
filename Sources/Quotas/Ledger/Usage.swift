// SPDX-License-Identifier: Apache-2.0

/// An amount of usage that is known within bounds, in micro-units.
public struct Usage: Sendable, BitwiseCopyable, Hashable {
    /// What is proven: completed or failed on the server.
    public var low: Int64
    /// That, and what may have run.
    public var high: Int64

    /// An amount.
    public init(low: Int64 = 0, high: Int64 = 0) { (self.low, self.high) = (low, high) }

    /// Nothing.
    public static let zero = Usage()

    /// The sum, which stays at the ends of the range where it would leave it.
    public static func + (left: Usage, right: Usage) -> Usage {
        Usage(low: add(left.low, right.low), high: add(left.high, right.high))
    }

    /// Adds another amount.
    public static func += (left: inout Usage, right: Usage) { left = left + right }

    /// The difference, kept within the range likewise.
    public static func - (left: Usage, right: Usage) -> Usage {
        left + Usage(low: right.low == .min ? .max : -right.low, high: right.high == .min ? .max : -right.high)
    }

    private static func add(_ left: Int64, _ right: Int64) -> Int64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? (left < 0 ? .min : .max) : sum
    }
}

/// Usage in ten seconds.
public struct SlotUsage: Sendable, BitwiseCopyable, Hashable {
    /// When they begin, in seconds since the epoch: a multiple of ``WindowKind/grain``.
    public var start: Int64
    /// What was used.
    public var usage: Usage

    /// Usage from `start` on.
    public init(start: Int64, usage: Usage) { (self.start, self.usage) = (start, usage) }
}

/// What one principal used in one hour (UTC), in micro-units.
public struct HourUsage: Sendable, BitwiseCopyable, Hashable {
    /// Hours since 1970-01-01 00:00 UTC.
    public var hour: Int64
    /// What is proven: completed or failed on the server.
    public var low: Int64
    /// That, and what may have run.
    public var high: Int64
}
