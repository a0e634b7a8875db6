// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Quotas

extension AuditEntry {
    /// What a decision was.
    public init(_ transition: Transition, generation: UInt64, at time: Timestamp, node: String) {
        self.init(transition.cause.rawValue, transition.user, at: time, node: node, actor: "decider")
        details = [
            ("tier", transition.tier), ("mode", transition.mode.rawValue), ("from", transition.from.rawValue),
            ("to", transition.to.rawValue), ("connections_before", transition.before.map(String.init) ?? "all"),
            ("connections_after", transition.after.map(String.init) ?? "all"),
            ("utilization", Quantity.decimal(transition.utilization, 4)),
            ("utilization_high", Quantity.decimal(transition.utilizationHigh, 4)),
            ("generation", String(generation)),
        ]
        if let standing = transition.standing {
            details += [
                ("window", standing.limit.window.title), ("budget", Quantity.decimal(standing.limit.budget.units, 6)),
                ("used", Quantity.decimal(CostUnits(micro: standing.usage.low).units, 6)),
                ("possible", Quantity.decimal(CostUnits(micro: standing.usage.high).units, 6)),
            ]
        }
    }

    /// As one line of JSON, with its line end.
    public var line: [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.field("time", time.rfc3339)
            json.field("node", node)
            json.field("actor", actor)
            json.field("event", event)
            json.field("user", user?.description)
            for detail in details { json.field(named: detail.name, detail.value) }
        }
        json.newline()
        return json.bytes
    }

    /// For people, who may know the user's name.
    public func text(user name: String?) -> String {
        let who = name ?? user?.description ?? "everybody"
        let rest = details.filter { !$0.value.isEmpty }.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        // Names and reasons are what others wrote.
        return "\(time.rfc3339)  \(actor)  \(Column.left(event, 9)) \(who)  \(rest)".printable
    }
}
