// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas

/// How limits stand at a backend elsewhere, as an agent tells it by the store: a time, then a line for each user.
enum StandingText {
    /// Older ones are nobody's any more, in seconds.
    private static let longest: Int64 = 30

    static func write(_ standings: [UserKey: [String: UserEnforcement]], at now: Timestamp) -> String {
        var lines = [String(now.nanoseconds / 1_000_000_000)]
        for (user, backends) in standings.sorted(by: { $0.key < $1.key }) {
            for (backend, standing) in backends.sorted(by: { $0.key < $1.key }) {
                let fields = [
                    user.description, backend, standing.state.rawValue, standing.connections.map(String.init) ?? "",
                    standing.observed.map(String.init) ?? "", standing.reason,
                ]
                lines.append(
                    fields.map { String($0.map { $0 == "\t" || $0.isNewline ? " " : $0 }) }.joined(separator: "\t")
                )
            }
        }
        return lines.joined(separator: "\n")
    }

    /// What a node said; nothing if that was long ago.
    static func read(_ text: String, from node: String, at now: Timestamp) -> [UserKey: [(String, UserEnforcement)]] {
        let lines = text.split(separator: "\n")
        guard let time = lines.first.flatMap({ Int64($0) }), abs(now.nanoseconds / 1_000_000_000 - time) <= longest
        else {
            return [:]
        }
        var found: [UserKey: [(String, UserEnforcement)]] = [:]
        for line in lines.dropFirst() {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 6, let user = UserKey(fields[0]), let state = EnforcementState(rawValue: fields[2])
            else {
                continue
            }
            let standing = UserEnforcement(
                user: "",
                connections: Int(fields[3]),
                state: state,
                observed: Int(fields[4]),
                reason: fields[5]
            )
            found[user, default: []].append(("\(fields[1]) at \(node)", standing))
        }
        return found
    }
}
