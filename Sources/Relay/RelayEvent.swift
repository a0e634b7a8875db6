// SPDX-License-Identifier: Apache-2.0

/// Something that the relay tells its operator.
public struct RelayEvent: Sendable {
    /// Whether something is worse than it should be.
    public var isWarning: Bool
    /// What happened, in a stable word such as `relay.attached`.
    public var name: String
    /// The same for people.
    public var text: String

    static func info(_ name: String, _ text: String) -> RelayEvent {
        RelayEvent(isWarning: false, name: "relay." + name, text: text)
    }

    static func warning(_ name: String, _ text: String) -> RelayEvent {
        RelayEvent(isWarning: true, name: "relay." + name, text: text)
    }
}
