// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a statement's own server time says about its cost: a floor and a ceiling (`Documentation/units.md`, "Time").
///
/// Times are in ns, amounts in micro-units.
public enum BusyTime {
    /// Micro-units that a nanosecond of server time stands for: thirty units a millisecond.
    public static let rate: Int64 = 30
    /// A shorter statement costs what its pattern costs: commits, network and scheduling are noise of this size.
    public static let shortest: Int64 = 20_000_000
    /// A transaction may be idle for so long at no price.
    public static let free: Int64 = 1_000_000_000

    /// The least that a statement costs whose time is proven: three fifths of it.
    ///
    /// - Parameter load: by how much other tenants' statements were slowed down meanwhile; 1: not at all.
    public static func floor(_ duration: Int64, load: Load = .none) -> Int64 {
        guard duration >= shortest else { return 0 }
        return load.divide(clamp(duration) * rate / 5 * 3)
    }

    /// The most that a failed statement costs: its time.
    @inline(__always)
    public static func ceilingOfFailed(_ duration: Int64) -> Int64 { max(least, clamp(duration) &* rate) }

    /// The most that a finished one costs beyond the planner's own price: twice its time, so that nobody else's runs make
    /// it dearer than that.
    @inline(__always)
    public static func ceiling(_ duration: Int64, planned: Int64) -> Int64 {
        max(planned, clamp(duration) &* (2 &* rate))
    }

    /// What a connection costs that waits, or sleeps, for so long, at a price for a second.
    public static func held(_ duration: Int64, at price: CostUnits = .held) -> Int64 {
        let (high, low) = clamp(duration).multipliedFullWidth(by: max(0, price.micro))
        // More than a price can be is as much as one can be.
        guard high < 1_000_000_000 / 2 else { return .max / 2 }
        return (1_000_000_000 as Int64).dividingFullWidth((high, low)).quotient
    }

    /// The least that an execution is charged.
    private static let least: Int64 = 100_000

    /// Ten years: no product overflows.
    @inline(__always)
    private static func clamp(_ duration: Int64) -> Int64 { min(max(0, duration), 315_360_000_000_000_000 / 4) }
}

/// By how much a server was slower than usual: from 1 to 16.
public struct Load: Sendable, Equatable {
    /// Its logarithm to the base 2, in 1/256.
    private let exponent: Int64

    /// As fast as ever.
    public static let none = Load(logarithm: 0)

    /// By the logarithm to the base 2 of a slowdown, in 1/256; beyond the bounds, the bound.
    public init(logarithm: Int64) { exponent = min(max(0, logarithm), 4 * 256) }

    /// The factor.
    public var factor: Double { Double(numerator) / Double(Self.one) }

    /// An amount as it would be without the load.
    public func divide(_ amount: Int64) -> Int64 {
        let (high, low) = amount.multipliedFullWidth(by: Self.one)
        // The factor is 1 at least, so the quotient is no larger than the amount.
        return amount <= 0 ? amount : numerator.dividingFullWidth((high, low)).quotient
    }

    private static let one: Int64 = 1 << 20

    /// `2^(exponent / 256)` in 1/2^20, linear between powers of two: the inverse of ``Pace/logarithm(_:)``.
    private var numerator: Int64 {
        let (whole, part) = (exponent >> 8, exponent & 255)
        return (Self.one + Self.one * part / 256) << whole
    }
}
