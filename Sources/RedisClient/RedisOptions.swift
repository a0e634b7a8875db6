// SPDX-License-Identifier: Apache-2.0

/// Where a server listens.
enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    case tcp(host: String, port: UInt16)
    case unix(path: String)

    var description: String {
        switch self {
        case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

/// Which servers there are.
enum Topology: Equatable, Sendable {
    case single(Endpoint)
    case sentinel([Endpoint], master: String)
    case cluster([Endpoint])
}

/// How to reach Redis, and how patient to be.
public struct RedisOptions: Sendable {
    let topology: Topology
    /// The number of the database, from 0; always 0 for a cluster.
    public let database: Int
    let user: String?
    let password: String?

    /// How long an attempt to connect may take, greeting included, in seconds; 0.01 to 60.
    public var connectTimeout = 1.0
    /// How long a reply may take, in seconds, from when the command was sent; 0.01 to 60.
    public var replyTimeout = 0.5
    /// Most operations of one write to one node; 1 to 1,000.
    public var batch = 100
    /// How long an operation waits for others to go with, in seconds; 0 to 1.
    public var batchDelay = 0.01
    /// Most operations that wait for their end, sent or not; 1 to 10,000,000.
    ///
    /// Further ones are refused at once.
    public var queueLimit = 65_536

    /// Options from a URL.
    ///
    ///     redis://[[user]:password@]host[:port][/db]
    ///     unix:///path/to.sock?db=N
    ///     redis+sentinel://[[user]:password@]host[:port],host[:port]/master[/db]
    ///     redis+cluster://[[user]:password@]host[:port],host[:port]
    ///
    /// - Parameters:
    ///   - url: what is special in a user or password stands there percent-encoded.
    ///   - password: instead of that in the URL, so that none needs to stand among a program's arguments.
    public init(url: String, password: String? = nil) throws(RedisOptionsError) {
        let parts = try RedisURL(url)
        topology = parts.topology
        database = parts.database
        user = parts.user
        self.password = password ?? parts.password
        if user != nil, self.password == nil { throw .userWithoutPassword }
    }

    /// The values within their ranges.
    var clamped: RedisOptions {
        var options = self
        options.connectTimeout = Self.clamp(connectTimeout, 0.01, 60)
        options.replyTimeout = Self.clamp(replyTimeout, 0.01, 60)
        options.batch = Self.clamp(batch, 1, 1000)
        options.batchDelay = Self.clamp(batchDelay, 0, 1)
        options.queueLimit = Self.clamp(queueLimit, 1, 10_000_000)
        return options
    }

    private static func clamp<Value: Comparable>(_ value: Value, _ least: Value, _ most: Value) -> Value {
        // In this order, so that no number at all becomes the least.
        min(most, max(least, value))
    }
}

extension RedisOptions: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The URL without user and password.
    public var description: String {
        let suffix = database == 0 ? "" : "/\(database)"
        func list(_ endpoints: [Endpoint]) -> String { endpoints.map(\.description).joined(separator: ",") }
        return switch topology {
        case .single(.unix(let path)): "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        case .single(let server): "redis://\(server)" + suffix
        case .sentinel(let sentinels, let master): "redis+sentinel://\(list(sentinels))/\(master)" + suffix
        case .cluster(let seeds): "redis+cluster://\(list(seeds))"
        }
    }

    /// The URL without user and password.
    public var debugDescription: String { description }

    /// Nothing, for user and password stand beside the rest.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
