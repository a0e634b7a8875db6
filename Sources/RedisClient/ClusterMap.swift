// SPDX-License-Identifier: Apache-2.0

/// Which node has which slot, and what waits to know.
struct ClusterMap {
    /// Most redirects of one command, and most repetitions.
    static let mostRedirects = 5
    /// Most nodes; what says more is no cluster.
    static let mostNodes = 1000
    /// The shortest time between two questions, in seconds.
    static let pause = 0.5

    let seeds: [Endpoint]
    /// The node of each slot; `nil`: nobody's, as far as we know.
    var nodes = [Node?](repeating: nil, count: HashSlot.count)
    /// Whether a map has been had.
    var isKnown = false
    /// What came before a map was had.
    var unrouted: [Operation] = []
    var isAsking = false
    var asked = 0
    /// Questions in vain since the last answer.
    var failures = 0
    /// When to ask next; infinity: no need to.
    var refreshTime = 0.0
    var lastRefresh = -Double.infinity
    var backOff = BackOff()

    init(seeds: [Endpoint]) { self.seeds = seeds }

    var nextTime: Double {
        let deadline = unrouted.first?.deadline ?? .infinity
        return min(isAsking ? .infinity : refreshTime, deadline)
    }

    mutating func takeUnrouted() -> [Operation] {
        let all = unrouted
        unrouted = []
        return all
    }

    /// The map is wrong somewhere.
    mutating func wantRefresh(at now: Double) { refreshTime = min(refreshTime, max(now, lastRefresh + Self.pause)) }
}

/// A range of slots and its master, as CLUSTER SLOTS has them.
struct SlotRange: Equatable {
    let slots: ClosedRange<Int>
    let master: Endpoint

    /// All ranges of a reply; `nil` if it is none.
    ///
    /// - Parameter sender: whose host holds where the reply has none.
    static func ranges(_ reply: RedisReply, from sender: Endpoint?) -> [SlotRange]? {
        guard let rows = reply.elements else { return nil }
        var result: [SlotRange] = []
        for row in rows {
            guard let fields = row.elements, fields.count >= 3, let master = fields[2].elements, master.count >= 2,
                let first = fields[0].number, let last = fields[1].number, first >= 0, first <= last,
                last < HashSlot.count, let endpoint = endpoint(master[0].text ?? "", master[1].number, sender)
            else { return nil }
            result.append(SlotRange(slots: Int(first)...Int(last), master: endpoint))
        }
        return result
    }

    /// The address in "MOVED slot host:port" and "ASK slot host:port", and the slot.
    static func redirect(_ message: String, from sender: Endpoint?) -> (slot: Int, Endpoint)? {
        let words = message.split(separator: " ")
        guard words.count >= 3, let slot = Int(words[1]), (0..<HashSlot.count).contains(slot),
            let colon = words[2].lastIndex(of: ":"), let port = Int64(words[2][words[2].index(after: colon)...]),
            let endpoint = endpoint(String(words[2][..<colon]), port, sender)
        else { return nil }
        return (slot, endpoint)
    }

    private static func endpoint(_ host: String, _ number: Int64?, _ sender: Endpoint?) -> Endpoint? {
        guard let number, let port = UInt16(exactly: number), port > 0 else { return nil }
        if !host.isEmpty, host != "?" { return .tcp(host: host, port: port) }
        guard case .tcp(let own, _) = sender else { return nil }
        return .tcp(host: own, port: port)
    }
}
