// SPDX-License-Identifier: Apache-2.0

/// An amount of work in PostgreSQL's planner cost units (one sequential page read is 1.0), kept in millionths so that
/// sums are exact.
public struct CostUnits: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// Millionths of a unit.
    public var micro: Int64

    /// An amount in millionths of a unit.
    public init(micro: Int64) {
        self.micro = micro
    }

    /// An amount in units; clamped to ±9·10¹², not-a-number counts as 0.
    public init(units: Double) {
        micro = units.isNaN ? 0 : Int64((min(max(units, -9e12), 9e12) * 1_000_000).rounded())
    }

    /// The amount in units.
    public var units: Double { Double(micro) / 1_000_000 }

    /// Nothing.
    public static let zero = CostUnits(micro: 0)
    /// What an unknown statement is charged: 1000 units.
    public static let fallback = CostUnits(micro: 1_000_000_000)
    /// What a second of a connection costs that is held without work: 10 units, unless somebody says otherwise.
    public static let held = CostUnits(micro: 10_000_000)

    /// Orders by amount.
    public static func < (left: CostUnits, right: CostUnits) -> Bool { left.micro < right.micro }
}
