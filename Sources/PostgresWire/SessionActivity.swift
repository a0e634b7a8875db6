// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a session does at the moment.
public struct SessionActivity: Sendable, BitwiseCopyable {
    /// Whether the server works on something for it.
    public var isActive: Bool
    /// Since when it is active, or idle.
    public var since: Timestamp
    /// `I` idle, `T` in a transaction, `E` in a failed one, as ReadyForQuery says (PostgreSQL documentation, "Message
    /// Formats").
    public var transaction: UInt8
    /// Requests that are not answered yet.
    public var requests: Int32
    /// Who pays; 0: not known.
    public var principal: PrincipalHandle
    /// The statement that runs, or 0.
    public var pattern: PatternHandle
}

extension Sessions {
    /// What the session of this flow does; `nil` when it is no PostgreSQL session that can be read.
    public mutating func activity(_ flow: FlowHandle) -> SessionActivity? {
        guard table.contains(flow) else { return nil }
        let session = table.slot(flow)
        guard session.value.phase == .ready else { return nil }
        let request = linked(session.value.firstRequest)
        let isActive = request.map { !$0.value.flags.contains(.done) } ?? false
        return SessionActivity(
            isActive: isActive,
            since: isActive ? request?.value.sent ?? .epoch : session.value.lastCompletion,
            transaction: session.value.transaction,
            requests: session.value.requestCount,
            principal: session.value.principal,
            pattern: isActive ? request?.value.statement.pattern ?? 0 : 0
        )
    }
}
