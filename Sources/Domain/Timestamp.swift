// SPDX-License-Identifier: Apache-2.0

/// A moment: nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
public struct Timestamp: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// Nanoseconds since the epoch.
    public var nanoseconds: Int64

    /// The moment `nanoseconds` after the epoch.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The epoch itself; also stands for "never".
    public static let epoch = Timestamp(nanoseconds: 0)

    /// Nanoseconds from `earlier` to this moment; 0 when `earlier` is later (a clock stepped back).
    public func nanoseconds(since earlier: Timestamp) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return overflow || difference < 0 ? 0 : difference
    }

    /// Orders by time.
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }
}
