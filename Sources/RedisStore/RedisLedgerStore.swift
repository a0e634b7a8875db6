// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc
public import Quotas
public import RedisClient

/// Totals in Redis, which all nodes share: a single server, one behind sentinels, or a cluster.
///
/// A register is a hash with a field for each node, `low high` in micro-units, and a time to live; all of a user's are in
/// one slot of a cluster. Nothing is transactional, because nothing needs to be: every field has one writer, who writes
/// absolute totals. Keys hold users' keyed hashes, no names.
public final class RedisLedgerStore: LedgerStore {
    private let client: RedisClient
    /// What it is, for people.
    public let name: String
    private let prefix: String
    /// Keys of ours that held another type, and were deleted.
    private let repairs = KeyRepairs()

    private static let shelves: UInt64 = 16
    /// Commands that go together, and seconds that all of them may take.
    private static let batch = 1000
    private static let patience = 1.0

    /// A ledger of a cluster of databases at a server; nothing is sent yet.
    public init(_ options: RedisOptions, cluster: String) throws(RedisError) {
        client = try RedisClient(options)
        name = options.description
        prefix = "pgweir:1:\(cluster):"
    }

    deinit { client.close() }

    /// How the client fares, in numbers.
    public var status: RedisStatus { client.status }

    /// The circuit breaker, and what went wrong so far.
    public var condition: String {
        let status = client.status
        return "circuit \(status.circuit), \(status.connected.count) connected, \(status.openings) openings, "
            + "\(status.timeouts) timeouts, \(status.reconnects) reconnects\(repairs.text)"
    }

    /// The server's clock; of a cluster, that of the node which has the epoch.
    public func time() throws(LedgerError) -> Timestamp? {
        let parts = try ask([RedisCommand("TIME", key: nil)]).first?.elements ?? []
        guard parts.count == 2, let seconds = parts[0].number, let micro = parts[1].number, abs(seconds) < 1 << 33
        else { return nil }
        return Timestamp(nanoseconds: seconds * 1_000_000_000 + micro % 1_000_000 * 1000)
    }

    /// The name that somebody gave it when it was empty: it goes with the totals when Redis is flushed.
    public func epoch() throws(LedgerError) -> String {
        let key = prefix + "ledger"
        let fresh = String(UInt64.random(in: .min ... .max), radix: 16)
        return try ask([RedisCommand("SET", key, fresh, "NX"), RedisCommand("GET", key)]).last?.text ?? ""
    }

    /// Stores own totals and reads what is there, in one pipeline.
    public func exchange(_ writes: [RegisterWrite], of node: String) throws(LedgerError) -> [RegisterReading] {
        var commands: [RedisCommand] = []
        for write in writes { commands += set(write, as: node) + [RedisCommand("HGETALL", place(write.key))] }
        let replies = try ask(commands)
        return stride(from: 2, to: replies.count, by: 3).map { Self.reading(replies[$0], node) }
    }

    /// Reads registers.
    public func read(_ keys: [RegisterKey], of node: String) throws(LedgerError) -> [RegisterReading] {
        try ask(keys.map { RedisCommand("HGETALL", place($0)) }).map { Self.reading($0, node) }
    }

    /// Sets what is added to everybody's totals.
    public func correct(_ writes: [RegisterWrite]) throws(LedgerError) {
        _ = try ask(writes.flatMap { set($0, as: MemoryLedgerStore.correction) })
    }

    private func set(_ write: RegisterWrite, as node: String) -> [RedisCommand] {
        [
            RedisCommand("HSET", place(write.key), node, "\(write.total.low) \(write.total.high)"),
            RedisCommand("EXPIREAT", place(write.key), String(write.key.forgotten)),
        ]
    }

    private static func reading(_ reply: RedisReply, _ node: String) -> RegisterReading {
        let fields = reply.elements ?? []
        var reading = RegisterReading()
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            guard let field = fields[index].text, let text = fields[index + 1].text,
                let total = total(text, isCorrection: field == MemoryLedgerStore.correction)
            else { continue }
            if field == node { reading.own = total } else { reading.others += total }
        }
        return reading
    }

    /// No total is larger, in micro-units; thousands of them still have a sum.
    private static let largest: Int64 = 1 << 50

    /// A field's total; `nil` for what no node can have written.
    ///
    /// Corrections take away; a node's lower bound may be a little below 0, where what it proved was less than it had
    /// counted on.
    static func total(_ text: String, isCorrection: Bool) -> Usage? {
        let numbers = text.split(separator: " ", omittingEmptySubsequences: false)
        guard numbers.count == 2, let low = Int64(numbers[0]), let high = Int64(numbers[1]) else { return nil }
        guard low.magnitude <= largest, high.magnitude <= largest else { return nil }
        guard isCorrection || high >= 0 && low <= high && low >= -high else { return nil }
        return Usage(low: low, high: high)
    }

    /// Says that users were active: a sorted set by time on some shelves, of `user tier`.
    public func touch(_ users: [ActiveUser], at seconds: Int64) throws(LedgerError) {
        var shelves: [UInt64: [String]] = [:]
        for active in users {
            shelves[active.user.hash.low % Self.shelves, default: []] += [
                String(seconds), "\(active.user) \(active.tier)",
            ]
        }
        var commands: [RedisCommand] = []
        for (shelf, words) in shelves {
            for start in stride(from: 0, to: words.count, by: 2000) {
                let part = words[start..<min(start + 2000, words.count)]
                commands.append(RedisCommand((["ZADD", self.shelf(shelf)] + part).map { Array($0.utf8) }))
            }
            // Forty days, longer than any window.
            commands.append(RedisCommand("ZREMRANGEBYSCORE", self.shelf(shelf), "-inf", String(seconds - 3_456_000)))
            commands.append(RedisCommand("EXPIRE", self.shelf(shelf), "3456000"))
        }
        _ = try ask(commands)
    }

    /// Users who were active since.
    public func touched(since seconds: Int64) throws(LedgerError) -> [ActiveUser] {
        var latest: [UserKey: (seconds: Int64, tier: String)] = [:]
        let page = 10_000
        for shelf in 0..<Self.shelves {
            var start = 0
            while true {
                let command = RedisCommand(
                    "ZRANGEBYSCORE",
                    self.shelf(shelf),
                    String(seconds),
                    "+inf",
                    "WITHSCORES",
                    "LIMIT",
                    String(start),
                    String(page)
                )
                let found = try ask([command]).first?.elements ?? []
                for index in stride(from: 0, to: found.count - 1, by: 2) {
                    let words = (found[index].text ?? "").split(separator: " ", maxSplits: 1)
                    guard words.count == 2, let user = UserKey(words[0]), let at = found[index + 1].number else {
                        continue
                    }
                    if at >= latest[user]?.seconds ?? .min { latest[user] = (at, String(words[1])) }
                }
                guard found.count >= page * 2 else { break }
                start += page
            }
        }
        return latest.map { ActiveUser($0.key, tier: $0.value.tier) }
    }

    /// Takes or renews a lease, by a script: taking and asking must not come apart.
    ///
    /// Tokens begin at the time in seconds, so that they grow even where Redis lost the last one.
    public func lease(_ name: String, holder: String, seconds: Int64) throws(LedgerError) -> UInt64? {
        let key = prefix + "lease:{\(name)}"
        let command = RedisCommand(
            "EVAL",
            Self.leaseScript,
            "2",
            key,
            key + ":token",
            holder,
            String(seconds * 1000),
            String(Glibc.time(nil)),
            key: 3,
            moreKeys: [4]
        )
        guard let token = try ask([command]).first?.number, token > 0 else { return nil }
        return UInt64(token)
    }

    private static let leaseScript = """
        local holder = redis.call('GET', KEYS[1])
        if holder == ARGV[1] then
            redis.call('PEXPIRE', KEYS[1], ARGV[2])
            return tonumber(redis.call('GET', KEYS[2]) or ARGV[3])
        elseif holder then
            return 0
        end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        local token = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, tonumber(ARGV[3]))
        redis.call('SET', KEYS[2], string.format('%d', token))
        return token
        """

    /// Takes or renews many leases; without tokens, so that nothing is left of one that is over.
    ///
    /// The key outlives the lease, so that it is known who held it last.
    public func claim(
        _ names: [String],
        holder: String,
        seconds: Int64,
        grace: Int64
    ) throws(LedgerError) -> [ClaimAnswer] {
        let times = [seconds, ClaimAnswer.memory, grace].map { String($0 * 1000) }
        let commands = names.map { name in
            let key = prefix + "claim:{\(name)}"
            return RedisCommand(
                "EVAL",
                Self.claimScript,
                "2",
                key,
                key + ":wish",
                holder,
                times[0],
                times[1],
                times[2],
                key: 3,
                moreKeys: [4]
            )
        }
        return try ask(commands).map { $0.number == 2 ? .own : $0.number == 1 ? .taken : .denied }
    }

    private static let claimScript = """
        local holder = redis.call('GET', KEYS[1])
        local isOther = holder and holder ~= ARGV[1]
        if isOther then
            if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) then return 0 end
            redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', 3 * ARGV[4])
            if redis.call('PTTL', KEYS[2]) > 2 * ARGV[4] then return 0 end
        end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2] + ARGV[3])
        return isOther and 1 or 2
        """

    /// Gives a lease back.
    public func giveBack(_ name: String, holder: String) throws(LedgerError) {
        let script = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
        _ = try ask([RedisCommand("EVAL", script, "1", prefix + "lease:{\(name)}", holder, key: 3)])
    }

    /// Publishes limits unless newer ones stand, by a script: comparing and storing must not come apart.
    public func publish(_ limits: PublishedLimits, seconds: Int64) throws(LedgerError) -> Bool {
        let command = RedisCommand(
            "EVAL",
            Self.publishScript,
            "1",
            prefix + "text:" + PublishedLimits.name,
            String(limits.generation),
            limits.text,
            String(max(1, seconds)),
            String(limits.expires &- seconds),
            String(Lease.longest),
            key: 3
        )
        return try ask([command]).first?.number == 1
    }

    /// As ``PublishedLimits/isOutdated(by:seconds:)`` tells.
    ///
    /// Generations have 64 bits, and Lua's numbers 53: they are compared as decimal texts without leading zeros.
    private static let publishScript = """
        local standing = redis.call('GET', KEYS[1])
        local newest, expires
        if standing then newest, expires = string.match(standing, '^pgweir%-limits 1 ([1-9]%d*) (%d+) ') end
        if newest and #newest <= 20 and (#newest > #ARGV[1] or (#newest == #ARGV[1] and newest > ARGV[1])) then
            local left = tonumber(expires) - tonumber(ARGV[4])
            if left > 0 and left <= tonumber(ARGV[5]) then return 0 end
        end
        redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
        return 1
        """

    /// Keeps a text for a time.
    public func put(_ name: String, _ text: String?, seconds: Int64) throws(LedgerError) {
        let key = prefix + "text:" + name
        let command = text.map { RedisCommand("SET", key, $0, "EX", String(max(1, seconds))) }
        _ = try ask([command ?? RedisCommand("DEL", key)])
    }

    /// The text, if its time is not over.
    public func get(_ name: String) throws(LedgerError) -> String? {
        try ask([RedisCommand("GET", prefix + "text:" + name)]).first?.text
    }

    /// Keeps a text in a list.
    public func keep(_ text: String?, in list: String, as name: String) throws(LedgerError) {
        let key = prefix + "list:" + list
        _ = try ask([text.map { RedisCommand("HSET", key, name, $0) } ?? RedisCommand("HDEL", key, name)])
    }

    /// All texts of a list.
    public func all(in list: String) throws(LedgerError) -> [String: String] {
        let fields = try ask([RedisCommand("HGETALL", prefix + "list:" + list)]).first?.elements ?? []
        var texts: [String: String] = [:]
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            if let name = fields[index].text, let text = fields[index + 1].text { texts[name] = text }
        }
        return texts
    }

    private func place(_ key: RegisterKey) -> String { "\(prefix)use:{\(key.user)}:\(key.place)" }
    private func shelf(_ number: UInt64) -> String { "\(prefix)users:\(number)" }

    /// The replies to all commands, or the first failure.
    private func ask(_ commands: [RedisCommand]) throws(LedgerError) -> [RedisReply] {
        var replies: [RedisReply] = []
        replies.reserveCapacity(commands.count)
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
