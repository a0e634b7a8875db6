// SPDX-License-Identifier: Apache-2.0
import Domain

/// Sessions of the server as they were seen in a span, each by the way on which its statements come; and which of the
/// tapped servers it is.
struct Sightings {
    /// How a session's statements reach the server.
    enum Way: Hashable {
        /// Read by the tap, or not to be told.
        case read
        case unixSocket, tls, gss, otherInterface, unread
        case worker(String)
    }

    /// Sessions by whose they are and how they come; a session by its process.
    private(set) var sessions: [Account: [Way: Set<String>]] = [:]
    /// Where the server is tapped, and what is proven to be another one.
    private(set) var own: Set<String> = [], foreign: Set<String> = []
    private(set) var isPassedOver = false
    /// A packet is seen so much later than it passed, at most; in seconds.
    private static let delay = 0.5

    /// Forgets the sessions; where the server is stays known.
    mutating func clear() { sessions = [:] }

    /// Takes what the server listed between two looks at the tap.
    mutating func add(_ rows: [ServerSession], before: SeenSnapshot, after: SeenSnapshot, port: UInt16) {
        isPassedOver = before.passesOver
        var seen: [String: SeenSnapshot.Connection] = [:]
        for connection in before.connections + after.connections { seen[connection.client] = connection }
        let listed = Set(rows.compactMap { $0.client?.description })
        if !before.isRelay { place(before, after, listed: listed, port: port) }
        let span = after.time - before.time
        for row in rows {
            guard let account = row.account, !row.isOwn else { continue }
            let connection = row.client.flatMap { seen[$0.description] }
            let way = Self.way(of: row, connection, isRelay: before.isRelay, isOld: row.age > span + Self.delay)
            guard way != .read else { continue }
            sessions[account, default: [:]][way, default: []].insert(row.process)
        }
    }

    private static func way(
        of row: ServerSession,
        _ connection: SeenSnapshot.Connection?,
        isRelay: Bool,
        isOld: Bool
    ) -> Way {
        switch row.kind {
        case "client backend": break
        // What they run counts with their leader.
        case "parallel worker", "walsender": return .read
        default: return .worker(row.kind)
        }
        guard row.client != nil else { return .unixSocket }
        // The server knows the relay's end of a session, the tap the client's.
        if isRelay || connection?.isRead == true { return .read }
        if row.isTLS { return .tls }
        if row.isGSS { return .gss }
        if connection != nil { return .unread }
        // One that has only just come may not have been seen yet.
        return isOld ? .otherInterface : .read
    }

    /// Which tapped servers are the one that was asked: it lists the clients of its own.
    private mutating func place(_ before: SeenSnapshot, _ after: SeenSnapshot, listed: Set<String>, port: UInt16) {
        var lasting: Set<String> = []
        var ends: [String: Int] = [:]
        for connection in after.connections { ends[connection.client, default: 0] += 1 }
        for connection in before.connections { lasting.insert(connection.client + ">" + connection.server) }
        for connection in after.connections where lasting.contains(connection.client + ">" + connection.server) {
            // One client's port may go to two servers at once: then the port must tell.
            let isOnly = ends[connection.client] == 1
            if listed.contains(connection.client), isOnly || Endpoint(connection.server)?.port == port {
                own.insert(connection.server)
                foreign.remove(connection.server)
            } else if connection.isRead, !listed.contains(connection.client), !own.contains(connection.server) {
                foreign.insert(connection.server)
            }
        }
    }

    /// Whether what was done at a tapped server was done at the one that was asked; `nil`: not proven.
    func isOwn(_ server: String?, port: UInt16, among servers: Int) -> Bool? {
        guard let server else { return true }
        if own.contains(server) { return true }
        let isOtherPort = Endpoint(server)?.port != port
        // Behind a pooler whose clients are counted, the clients' end is where the server's statements are seen.
        if isOtherPort, isPassedOver { return true }
        if foreign.contains(server) { return false }
        return servers == 1 ? true : nil
    }

    /// What the sessions of a user account for.
    func reasons(of account: Account) -> [Reason] {
        func text(_ way: Way, _ count: UInt64) -> Reason? {
            let sessions = count == 1 ? "1 session" : "\(count) sessions"
            switch way {
            case .read: return nil
            case .unixSocket: return Reason(.unixSocket, count, "\(sessions) over a Unix socket, which no packet shows")
            case .tls: return Reason(.tls, count, "\(sessions) over TLS, which the tap cannot read")
            case .gss: return Reason(.gss, count, "\(sessions) with GSSAPI encryption, which the tap cannot read")
            case .otherInterface:
                return Reason(.otherInterface, count, "\(sessions) over an interface or address that is not tapped")
            case .unread:
                return Reason(
                    .unread,
                    count,
                    "\(sessions) seen but not read: a pooler's that is passed over, or one that began before the tap"
                )
            case .worker(let name): return Reason(.backgroundWorker, count, "background worker '\(name.printable)'")
            }
        }
        let found = (sessions[account] ?? [:]).compactMap { text($0.key, UInt64($0.value.count)) }
        return found.sorted { ($0.kind.rawValue, $0.text) < ($1.kind.rawValue, $1.text) }
    }
}
