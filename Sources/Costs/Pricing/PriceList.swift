// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Prices that are known before the capture is read: `pattern → units`, and the default for all others.
public struct PriceList: Sendable {
    /// The price of a statement that is not in the list.
    public let fallback: CostUnits
    /// A person set that one.
    public let isFallbackSet: Bool
    /// What a second of a connection costs that is held without work.
    public let held: CostUnits
    private let prices: [Fingerprint: CostUnits]

    /// A list of prices by fingerprint; `fallback`: the default that a person set, if one did.
    public init(
        prices: [Fingerprint: CostUnits] = [:],
        fallback: CostUnits? = nil,
        held: CostUnits = .held
    ) {
        self.prices = prices
        (self.fallback, isFallbackSet, self.held) = (fallback ?? .fallback, fallback != nil, held)
    }

    /// The listed price of a pattern, or `nil`.
    public func price(of fingerprint: Fingerprint) -> CostUnits? { prices[fingerprint] }
}
