// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
public import RedisClient

/// Prices in Redis, which all nodes share: a single server, one behind sentinels, or a cluster.
///
/// A price is one string key with a time to live of 24 hours; a pinned one has none. 64 sets say which prices there are,
/// so that they can be listed in a cluster too, where keys are on many nodes. Keys are keyed hashes, and what is stored
/// holds no literal and no user's name.
public final class RedisCostStore: CostStore {
    private let client: RedisClient
    /// Keys of ours that held another type, and were deleted.
    private let repairs = KeyRepairs()
    /// What it is, for people.
    public let name: String

    private static let prefix = "pgweir:1:"
    private static let lifetime = "86400"
    private static let shelves: UInt64 = 64
    /// Commands that go together, and seconds that all of them may take.
    private static let batch = 100
    private static let patience = 1.0

    /// A store at a server; nothing is sent yet.
    public init(_ options: RedisOptions) throws(RedisError) {
        client = try RedisClient(options)
        name = options.description
    }

    deinit { client.close() }

    /// How the client fares, in numbers.
    public var status: RedisStatus { client.status }

    /// The circuit breaker, and what went wrong so far.
    public var condition: String {
        let status = client.status
        return "circuit \(status.circuit), \(status.connected.count) connected, \(status.openings) openings, "
            + "\(status.timeouts) timeouts, \(status.reconnects) reconnects"
    }

    /// The name that somebody gave it when it was empty: it goes with the prices when Redis is flushed.
    public func epoch() throws(CostStoreError) -> String {
        let key = Self.prefix + "epoch"
        let replies = try ask([RedisCommand("SET", key, Self.newEpoch(), "NX"), RedisCommand("GET", key)])
        return replies.last?.text ?? ""
    }

    /// The prices that are known among `keys`; a damaged one counts as unknown.
    public func prices(of keys: [Fingerprint]) throws(CostStoreError) -> [StoredPrice] {
        let replies = try ask(keys.map { RedisCommand("GET", Self.place($0)) })
        return zip(keys, replies).compactMap { key, reply in reply.text.flatMap { StoredPrice(key: key, text: $0) } }
    }

    /// Keeps prices.
    public func store(_ prices: [StoredPrice]) throws(CostStoreError) {
        var commands: [RedisCommand] = []
        for price in prices {
            if price.method == .pinned {
                commands.append(RedisCommand("SET", Self.place(price.key), price.text))
            } else {
                commands.append(RedisCommand("SET", Self.place(price.key), price.text, "EX", Self.lifetime))
            }
            commands.append(RedisCommand("SADD", Self.shelf(price.key), price.key.description))
        }
        _ = try ask(commands)
        if let price = prices.last { try tidy(Self.shelf(price.key)) }
    }

    /// Names of prices that have expired leave their set: some at each store, more than come to it.
    private func tidy(_ shelf: String) throws(CostStoreError) {
        let reply = try ask([RedisCommand("SRANDMEMBER", shelf, String(Self.batch))])
        let keys = (reply.first?.elements ?? []).compactMap { $0.text.flatMap { Fingerprint($0) } }
        guard !keys.isEmpty else { return }
        let found = try ask(keys.map { RedisCommand("EXISTS", Self.place($0)) })
        let gone = zip(keys, found).filter { $0.1 == .integer(0) }.map(\.0)
        _ = try ask(gone.map { RedisCommand("SREM", shelf, $0.description) })
    }

    /// Forgets prices.
    public func remove(_ keys: [Fingerprint]) throws(CostStoreError) {
        _ = try ask(
            keys.flatMap { key in
                [
                    RedisCommand("DEL", Self.place(key)),
                    RedisCommand("SREM", Self.shelf(key), key.description),
                ]
            }
        )
    }

    /// All prices; names of those that have expired are cleared away.
    public func scan(_ take: (StoredPrice) -> Bool) throws(CostStoreError) {
        for shelf in 0..<Self.shelves {
            let reply = try ask([RedisCommand("SMEMBERS", Self.shelf(shelf))])
            let keys = (reply.first?.elements ?? []).compactMap { $0.text.flatMap { Fingerprint($0) } }
            for start in stride(from: 0, to: keys.count, by: Self.batch) {
                let part = Array(keys[start..<min(start + Self.batch, keys.count)])
                let found = try prices(of: part)
                let known = Set(found.map(\.key))
                _ = try ask(
                    part.filter { !known.contains($0) }.map {
                        RedisCommand("SREM", Self.shelf($0), $0.description)
                    }
                )
                for price in found where !take(price) { return }
            }
        }
    }

    /// Whether no other node asks for this price right now.
    public func claim(_ key: Fingerprint, seconds: Int) throws(CostStoreError) -> Bool {
        let time = String(max(1, seconds))
        let reply = try ask([RedisCommand("SET", Self.prefix + "claim:" + key.description, "1", "NX", "EX", time)])
        return reply.first != .null
    }

    private static func place(_ key: Fingerprint) -> String { prefix + "price:" + key.description }
    private static func shelf(_ key: Fingerprint) -> String { shelf(key.high % shelves) }
    private static func shelf(_ number: UInt64) -> String { prefix + "index:\(number)" }

    /// The replies to all commands, or the first failure.
    private func ask(_ commands: [RedisCommand]) throws(CostStoreError) -> [RedisReply] {
        var replies: [RedisReply] = []
        for start in stride(from: 0, to: commands.count, by: Self.batch) {
            let part = Array(commands[start..<min(start + Self.batch, commands.count)])
            do throws(RedisError) {
                replies += try client.call(part, repairs: repairs, seconds: Self.patience)
            } catch {
                throw .unavailable(store: name, reason: error.description)
            }
        }
        return replies
    }
}
