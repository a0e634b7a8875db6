// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
public import Explain
import Fingerprints
import Platform

/// Prices statements by hand, for `pgweir cost explain`.
public struct StatementPricer: ~Copyable {
    private let explainer: Explainer
    private let database: String?, user: String?, searchPath: String?
    private var normalizer = Normalizer(hash: .standard)

    /// `database`, `user`, `searchPath`: where the statements are planned, and as whom; `nil`: as the server says.
    public init(_ options: Explainer.Options, database: String?, user: String?, searchPath: String?) {
        explainer = Explainer(options)
        (self.database, self.user, self.searchPath) = (database, user, searchPath)
    }

    /// The price of one statement, or why there is none.
    ///
    /// - Throws: the exit code for the whole program where no server is to be had, after saying so.
    public mutating func price(_ sql: String) throws(ExitStatus) -> StoredPrice {
        let bytes = Array(sql.utf8)
        let sketch = normalizer.sketch(bytes.rawSpan, from: 0) ?? StatementSketch()
        let text = normalizer.patternText(bytes.rawSpan, sketch)
        var price = StoredPrice(
            key: sketch.fingerprint,
            fingerprint: sketch.fingerprint,
            pattern: String(decoding: text, as: UTF8.self),
            database: database ?? "",
            method: .failed,
            cost: .fallback,
            priced: SystemClock.time()
        )
        (price.limit, price.offset) = (sketch.limit, sketch.offset)
        let request = PricingRequest(text: bytes, database: database, user: user, searchPath: searchPath)
        do throws(PricingError) {
            price.take(try explainer.price(request), at: SystemClock.time())
        } catch {
            if error.isConnectionLost {
                Output.complain("--explain: \(error)")
                throw Sysexit.unavailable
            }
            price.failure = [error.sqlState, error.description].compactMap { $0 }.joined(separator: " ")
        }
        return price
    }
}
