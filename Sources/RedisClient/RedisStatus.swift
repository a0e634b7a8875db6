// SPDX-License-Identifier: Apache-2.0

/// What a client has done and how it fares; plain values.
public struct RedisStatus: Sendable, Equatable {
    /// The circuit breaker's state.
    public var circuit = CircuitState.closed
    /// The nodes that take commands now, as `host:port` or path, sorted.
    public var connected: [String] = []
    /// Operations that wait for their end, sent or not.
    public var queued = 0
    /// Operations that have ended with a reply, not counting errors.
    public var operations: UInt64 = 0
    /// Writes of one or more operations to one node.
    public var batches: UInt64 = 0
    /// Operations that ended with an error, by its kind.
    public var errors: [RedisError.Kind: UInt64] = [:]
    /// Of these errors, those that a server answered, by their kind.
    public var refusals: [RedisRefusal.Kind: UInt64] = [:]
    /// Connections made after the first to the same node.
    public var reconnects: UInt64 = 0
    /// Operations that were sent on to another node (MOVED, ASK) or once more (TRYAGAIN, CLUSTERDOWN).
    public var redirects: UInt64 = 0
    /// How often the circuit opened.
    public var openings: UInt64 = 0
    /// The time from writing a command to its reply in seconds, as an average that weighs the newest operation by 1/16.
    public var latency = 0.0
    /// Why the last connection failed or ended; `nil` when none has.
    public var lastFailure: String?

    /// Operations that had no answer in time.
    public var timeouts: UInt64 { errors[.timedOut] ?? 0 }
}
