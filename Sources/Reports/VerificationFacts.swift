// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What one server counted of late against what was seen of it: without users, as pages and metrics show it.
public struct VerificationFacts: Sendable {
    /// Its number among the servers of `--activity`, from 1.
    public var server: Int
    /// The share of what it counted in the last span that was seen, from 0 to 1; `nil`: it counted nothing, or was not asked
    /// yet.
    public var ratio: Double?
    /// Statements that it counted in the last span, and what of them was seen.
    public var counted: UInt64 = 0, seen: UInt64 = 0
    /// The same since the daemon began.
    public var totalCounted: UInt64 = 0, totalSeen: UInt64 = 0
    /// How long the last span was, in seconds, and when it ended.
    public var seconds = 0.0, ended: Timestamp?
    /// Whether what is missing is accounted for.
    public var isExplained = true
    /// Why not all was seen, or more: kinds and how many sessions, statements or losses.
    public var reasons: [(kind: String, count: UInt64)] = []
    /// Why it cannot be asked; `nil`: it was.
    public var problem: String?

    /// A server that was not asked yet.
    public init(server: Int) { self.server = server }

    /// Less than this share is a tap that does not see what it should.
    public static let blindBelow = 0.95

    /// Whether much is not seen.
    public var isBlind: Bool { ratio.map { $0 < Self.blindBelow } ?? false }

    /// For people, such as `seen 99.8 % of 12,345 statements that server 1 counted in the last 60 s`.
    public var line: String {
        if let problem { return "not compared with what server \(server) counts: \(problem)" }
        guard ended != nil else { return "comparing with what server \(server) counts" }
        guard let ratio else { return "server \(server) counted no statement in the last \(Int(seconds)) s" }
        let why =
            reasons.isEmpty ? "" : ": " + reasons.map { $0.kind.replacing("_", with: " ") }.joined(separator: ", ")
        return
            "seen \(Self.percent(ratio)) of \(Quantity.grouped(counted)) statements that server \(server) counted in the "
            + "last \(Int(seconds)) s\(ratio < 1 ? why : "")"
    }

    /// Such as `99.8 %`; never 100 % of what was not seen whole.
    public static func percent(_ share: Double) -> String {
        let tenths = share >= 1 ? (share * 1000).rounded() : (share * 1000).rounded(.down)
        return Quantity.decimal(tenths / 10, 1) + " %"
    }

    func write(_ json: inout JSONWriter) {
        json.field("server", server)
        if let ratio { json.field("seen_ratio", ratio, places: 6) } else { json.field("seen_ratio", nil as String?) }
        json.field("counted", counted)
        json.field("seen", seen)
        json.field("total_counted", totalCounted)
        json.field("total_seen", totalSeen)
        json.field("seconds", seconds, places: 3)
        json.field("time", ended?.rfc3339)
        json.field("explained", isExplained)
        json.array("reasons") { json in
            for reason in reasons {
                json.object { json in
                    json.field("kind", reason.kind)
                    json.field("count", reason.count)
                }
            }
        }
        json.field("problem", problem)
    }
}
