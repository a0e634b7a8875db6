// SPDX-License-Identifier: Apache-2.0

/// What a person decided about one user, for a time: it goes before the ladder.
public struct Override: Sendable, Hashable {
    /// What is to be done.
    public enum Action: Sendable, Hashable {
        /// The user is not judged.
        case exempt
        /// The user may have so many connections, whatever was used.
        case limit(connections: Int)
        /// The user is judged by another tier.
        case tier(String)
    }

    /// What is to be done.
    public var action: Action
    /// When it ends, in seconds since the epoch.
    public var until: Int64
    /// Who decided, such as the login of the command's caller.
    public var by: String
    /// Why.
    public var reason: String

    /// A decision.
    public init(_ action: Action, until: Int64, by: String, reason: String) {
        (self.action, self.until, self.by, self.reason) = (action, until, by, reason)
    }

    /// As stores keep it: five fields with tabs between.
    public var text: String {
        let (verb, value): (String, String) =
            switch action {
            case .exempt: ("exempt", "")
            case .limit(let connections): ("limit", String(connections))
            case .tier(let name): ("tier", name)
            }
        return [verb, value, String(until), by, reason].map(Self.clean).joined(separator: "\t")
    }

    /// Reads ``text``; `nil` for any other text.
    public init?(text: String) {
        let fields = text.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 5, let until = Int64(fields[2]) else { return nil }
        let action: Action
        switch fields[0] {
        case "exempt": action = .exempt
        case "limit":
            guard let connections = Int(fields[1]), connections > 0 else { return nil }
            action = .limit(connections: connections)
        case "tier": action = .tier(fields[1])
        default: return nil
        }
        self.init(action, until: until, by: fields[3], reason: fields[4])
    }

    private static func clean(_ text: String) -> String {
        String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
    }
}
