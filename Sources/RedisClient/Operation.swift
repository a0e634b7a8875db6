// SPDX-License-Identifier: Apache-2.0

/// What is told of a command in the end, exactly once.
typealias Completion = @Sendable (Result<RedisReply, RedisError>) -> Void

/// A command on its way; it stands in one place at a time, so that it ends once.
struct Operation: Sendable {
    /// Who waits for the reply.
    enum Purpose: Sendable {
        case caller(Completion)
        case greeting(Greeting)
        /// ASKING, which prepares the next command.
        case asking
        /// CLUSTER SLOTS.
        case slots
        /// SENTINEL get-master-addr-by-name.
        case master
        /// The breaker's PING.
        case probe
    }

    /// What is said first on a connection, in this order.
    enum Greeting: Sendable {
        case authenticate
        case select
        case name
        case ping
        case role
    }

    let command: RedisCommand
    let purpose: Purpose
    let routing: Routing
    /// When it came, on the steady clock.
    let submitted: Double
    /// When it is given up if it has not been sent.
    let deadline: Double
    /// Whether somebody waits for it: then it waits for no others to go with.
    let isUrgent: Bool
    var isAsking = false
    var redirects = 0
    var sent = 0.0

    /// A command of our own, which waits for nothing.
    init(_ command: RedisCommand, _ purpose: Purpose, submitted: Double, deadline: Double = .infinity) {
        self.init(command, purpose, .anywhere, submitted: submitted, deadline: deadline, isUrgent: true)
    }

    init(
        _ command: RedisCommand,
        _ purpose: Purpose,
        _ routing: Routing,
        submitted: Double,
        deadline: Double,
        isUrgent: Bool
    ) {
        (self.command, self.purpose, self.routing) = (command, purpose, routing)
        (self.submitted, self.deadline, self.isUrgent) = (submitted, deadline, isUrgent)
    }

    var isCallers: Bool {
        if case .caller = purpose { return true }
        return false
    }
}
