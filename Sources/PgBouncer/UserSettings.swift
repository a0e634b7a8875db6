// SPDX-License-Identifier: Apache-2.0

/// The settings of one user's line in `[users]`, such as `pool_mode=session max_user_connections=20`.
///
/// A line sets all of them: what it leaves out goes back to its default. So nothing may get lost on the way.
public struct UserSettings: Hashable, Sendable {
    /// One setting.
    public struct Pair: Hashable, Sendable {
        /// Its name and its value, as written.
        public let key: String, value: String
    }

    /// In the order in which they are written; no key twice.
    public private(set) var pairs: [Pair]

    /// What a user without a line has: no limit but that which holds for all.
    public static let none = UserSettings(pairs: [Pair(key: limitKey, value: "0")])
    private static let limitKey = "max_user_connections"

    private init(pairs: [Pair]) { self.pairs = pairs }

    /// Reads `key=value key=value`; `nil` where it holds anything that could not be repeated safely.
    public init?(_ text: some StringProtocol) {
        var pairs: [Pair] = []
        for word in Self.words(String(text)) {
            let isPlain =
                UserName.isPlain(word.value) && word.key.utf8.allSatisfy { $0 == 0x5F || (0x61...0x7A).contains($0) }
            guard isPlain, !word.key.isEmpty else { return nil }
            // The last one holds, as in PgBouncer.
            pairs.removeAll { $0.key == word.key }
            pairs.append(word)
        }
        guard pairs.count == Set(pairs.map(\.key)).count, !pairs.isEmpty else { return nil }
        self.init(pairs: pairs)
    }

    /// As a line has it.
    public var text: String { pairs.map { "\($0.key)=\($0.value)" }.joined(separator: " ") }

    /// The most connections to the server; `nil` where the line leaves it to the default: 0, -1 or nothing.
    public var limit: Int? {
        guard let value = pairs.first(where: { $0.key == Self.limitKey })?.value, let limit = Int(value), limit > 0
        else { return nil }
        return limit
    }

    /// The same with another limit, 0 for the default; all else is kept.
    public func limited(to connections: Int) -> Self {
        let pair = Pair(key: Self.limitKey, value: String(connections))
        guard let index = pairs.firstIndex(where: { $0.key == Self.limitKey }) else {
            return Self(pairs: pairs + [pair])
        }
        var copy = self
        copy.pairs[index] = pair
        return copy
    }

    /// The line that takes back a limit: what the operator wrote, and where that names no limit, one of 0.
    ///
    /// A line without `max_user_connections` would do the same; PgBouncer's read-back is clearer with it.
    public var release: Self { limit == nil ? limited(to: 0) : self }

    /// The limit that is to be written: never above the operator's own.
    public static func merge(
        wanted: Int,
        baseline: Self,
        default standard: Int?,
        instances: Int,
        floor: Int
    ) -> Self {
        let share = max(1, floor, wanted / max(1, instances))
        return baseline.limited(to: min(share, baseline.limit ?? standard ?? share))
    }

    /// `key=value` words with values in single quotes or not, as PgBouncer's lines of users and databases have them.
    static func words(_ text: String) -> [Pair] {
        var words: [Pair] = []
        var rest = text[...]
        while true {
            rest = rest.drop { $0.isWhitespace }
            guard !rest.isEmpty else { return words }
            let key = rest.prefix { $0 != "=" && !$0.isWhitespace }
            rest = rest[key.endIndex...].drop { $0.isWhitespace }
            guard rest.first == "=" else {
                words.append(Pair(key: String(key), value: ""))
                guard !key.isEmpty else { return words }
                continue
            }
            rest = rest.dropFirst().drop { $0.isWhitespace }
            var value = ""
            if rest.first == "'" {
                // A quote is doubled within quotes.
                var quotes = ""
                repeat {
                    rest = rest.dropFirst()
                    let part = rest.prefix { $0 != "'" }
                    value += quotes + part
                    quotes = "'"
                    rest = rest[part.endIndex...].dropFirst()
                } while rest.first == "'"
            } else {
                let part = rest.prefix { !$0.isWhitespace }
                value = String(part)
                rest = rest[part.endIndex...]
            }
            words.append(Pair(key: String(key), value: value))
        }
    }
}
