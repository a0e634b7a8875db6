// SPDX-License-Identifier: Apache-2.0
public import Domain

/// One line of the audit: what changed, for whom by a keyed hash, who did it and why.
public struct AuditEntry: Sendable {
    /// When.
    public var time: Timestamp
    /// The node that wrote it.
    public var node: String
    /// Who did it: `decider`, `enforcer`, or `person`.
    public var actor: String
    /// The user; `nil`: everybody.
    public var user: UserKey?
    /// Such as `crossed`, `limit`, `enforced`.
    public var event: String
    /// Values by name, in their order.
    public var details: [(name: String, value: String)]

    /// An entry.
    public init(
        _ event: String,
        _ user: UserKey?,
        at time: Timestamp,
        node: String,
        actor: String,
        details: [(name: String, value: String)] = []
    ) {
        (self.event, self.user, self.time) = (event, user, time)
        (self.node, self.actor, self.details) = (node, actor, details)
    }
}
