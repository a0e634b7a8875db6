// SPDX-License-Identifier: Apache-2.0

/// Why a command has no reply.
public enum RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    /// hiredis is not installed.
    case libraryMissing
    /// The system refused a thread, a descriptor or memory.
    case noResources(reason: String)
    /// As many operations wait as may; the command was not sent.
    case overloaded(limit: Int)
    /// The circuit breaker holds everything back; the command was not sent.
    case circuitOpen
    /// The client was closed; what was sent may or may not have been done.
    case closed
    /// The keys are of several slots of the cluster; the command was not sent.
    case severalSlots
    /// A key's place is beyond the arguments, or there are none; the command was not sent.
    case malformedCommand
    /// No connection; the command was not sent.
    case cannotConnect(server: String, reason: String)
    /// The connection ended after the command was sent: it may or may not have been done.
    case connectionLost(server: String, reason: String)
    /// No answer in time; `isSent` says whether the command may have been done.
    case timedOut(server: String, seconds: Double, isSent: Bool)
    /// The server sent what is no reply, or too much; the command may or may not have been done.
    case malformedReply(server: String, reason: String)
    /// The nodes of a cluster sent the command on and on; it was not done.
    case tooManyRedirects(count: Int)
    /// The server answered with an error.
    case refused(RedisRefusal, server: String)

    /// What kind of error it is, for counters.
    public enum Kind: String, Sendable, CaseIterable {
        /// Not sent: the system gave no library, thread, descriptor or memory.
        case resources
        /// Not sent: the queue was full.
        case overloaded
        /// Not sent: the circuit breaker was open.
        case circuitOpen
        /// The client was closed.
        case closed
        /// Not sent: its keys cannot be, or are of several slots.
        case unusable
        /// Not sent: no connection.
        case cannotConnect
        /// The connection ended before the reply.
        case connectionLost
        /// No answer in time.
        case timedOut
        /// What came was no reply.
        case malformedReply
        /// Sent from node to node.
        case redirects
        /// The server answered with an error.
        case refused
    }

    /// What kind of error it is.
    public var kind: Kind {
        switch self {
        case .libraryMissing, .noResources: .resources
        case .overloaded: .overloaded
        case .circuitOpen: .circuitOpen
        case .closed: .closed
        case .severalSlots, .malformedCommand: .unusable
        case .cannotConnect: .cannotConnect
        case .connectionLost: .connectionLost
        case .timedOut: .timedOut
        case .malformedReply: .malformedReply
        case .tooManyRedirects: .redirects
        case .refused: .refused
        }
    }

    /// What happened, to what, and what to do.
    public var description: String {
        switch self {
        case .libraryMissing: "hiredis 0.14 is not installed (`apt-get install libhiredis0.14`)"
        case .noResources(let reason): "cannot work with Redis: \(reason); see `ulimit -a`"
        case .overloaded(let limit): "\(limit) operations wait for Redis already; the command was not sent"
        case .circuitOpen: "Redis failed or was slow; the circuit breaker holds commands back until it answers a PING"
        case .closed: "the Redis client was closed"
        case .severalSlots: "the keys are of several cluster slots; write a common {hash tag} into them"
        case .malformedCommand: "a Redis command needs a name, and its keys among its arguments"
        case .cannotConnect(let server, let reason): "cannot connect to Redis at \(server): \(reason)"
        case .connectionLost(let server, let reason):
            "the connection to Redis at \(server) ended before its reply: \(reason); the command may have been done"
        case .timedOut(let server, let seconds, let isSent):
            "no answer of Redis at \(server) within \(seconds) s"
                + (isSent ? "; the command may have been done" : "; the command was not sent")
        case .malformedReply(let server, let reason):
            "Redis at \(server) sent no valid reply: \(reason); is it a Redis server?"
        case .tooManyRedirects(let count):
            "the Redis cluster sent a command on \(count) times; see `redis-cli --cluster check`"
        case .refused(let refusal, let server):
            "Redis at \(server) refused: \(refusal.message)" + (Self.remedies[refusal.kind] ?? "")
        }
    }

    private static let remedies: [RedisRefusal.Kind: String] = [
        .noAuthentication: "; give its password",
        .wrongPassword: "; check user and password",
        .noPermission: "; grant the user this command and its keys (ACL SETUSER)",
        .outOfMemory: "; raise its maxmemory or set a maxmemory-policy that evicts",
        .moved: "; it belongs to a cluster: write redis+cluster://",
        .readOnly: "; it is a replica: name the master, or its sentinels by redis+sentinel://",
    ]

    /// Whether the circuit breaker counts it against the server.
    var isOutage: Bool {
        switch self {
        case .cannotConnect, .connectionLost, .timedOut, .malformedReply, .tooManyRedirects: true
        case .refused(let refusal, _): refusal.isOutage
        default: false
        }
    }
}
