// SPDX-License-Identifier: Apache-2.0
import Domain

/// Tells whose unknown sessions are, from one answer of one server.
///
/// A row proves a session's owner if it names the same four ends, was there when the session was first seen, and the
/// session goes on until after the answer: then no other connection can have had these ports in between. The last of
/// that is for the worker to see, which has the packets.
struct SessionMatcher {
    /// Clocks of two hosts, and the pooler's whole seconds, may differ by so much.
    static let slack = 1.5

    /// The rows, and the address at which the server says that it was asked; `nil`: not on the network.
    var rows: [SessionRow]
    var serverAddress: Endpoint?
    /// The port that the server listens on, where rows do not say.
    var serverPort: UInt16?

    /// Owners of those of `sessions` that the answer proves; `asked` and `answered` enclose the question.
    func match(_ sessions: [UnknownSession], asked: Timestamp, answered: Timestamp) -> [SessionResolution] {
        var byClient: [Endpoint: [SessionRow]] = [:]
        for row in rows { byClient[row.client, default: []].append(row) }
        let isOnlyServer = Set(sessions.filter { $0.server.port == serverPort }.map(\.server)).count == 1
        return sessions.compactMap { session in
            // Seen first while the answer was on its way: the row may be an earlier connection's.
            guard session.since < asked else { return nil }
            let fitting = (byClient[session.client] ?? []).filter { row in
                isServer(of: row, session.server, isOnlyServer) && isOldEnough(row, session, answered)
            }
            guard let row = fitting.first, fitting.allSatisfy({ $0.identity == row.identity }) else { return nil }
            return SessionResolution(session: session, identity: row.identity, answered: answered)
        }
    }

    private func isServer(of row: SessionRow, _ server: Endpoint, _ isOnlyServer: Bool) -> Bool {
        if let own = row.server { return own == server }
        guard server.port == serverPort else { return false }
        // One client's port may go to two servers at once: then the address must tell.
        return isOnlyServer || serverAddress.map { $0.high == server.high && $0.low == server.low } ?? false
    }

    private func isOldEnough(_ row: SessionRow, _ session: UnknownSession, _ answered: Timestamp) -> Bool {
        if let connected = row.connected {
            return connected.nanoseconds <= session.since.nanoseconds &+ Int64(Self.slack * 1e9)
        }
        guard let age = row.age else { return true }
        return age + Self.slack >= Double(answered.nanoseconds(since: session.since)) / 1e9
    }
}
