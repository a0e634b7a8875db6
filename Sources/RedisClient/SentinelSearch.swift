// SPDX-License-Identifier: Apache-2.0

/// Sentinels, asked one after the other where the master is (Redis documentation, "Guidelines for Redis clients with
/// support for Redis Sentinel").
struct SentinelSearch {
    /// In the order in which they are asked; one that knew the master comes first the next time.
    var sentinels: [Endpoint]
    let master: String
    /// How many have been asked in this round; `nil`: no round is under way.
    var asked: Int?
    var reasons: [String] = []
}

extension Worker {
    /// Begins to ask where the master is.
    func locateMaster(at now: Double) {
        guard search?.asked == nil else { return }
        search?.asked = 0
        search?.reasons = []
        askNextSentinel(at: now)
    }

    private func askNextSentinel(at now: Double) {
        guard let search, let asked = search.asked else { return }
        guard asked < search.sentinels.count else {
            self.search?.asked = nil
            let reason = "no sentinel knows the master \(search.master): " + search.reasons.joined(separator: "; ")
            nodes.first?.fail(.attempt(reason), at: now)
            return
        }
        let node = add(.sentinel, search.sentinels[asked])
        let command = RedisCommand("SENTINEL", "get-master-addr-by-name", search.master, key: nil)
        node.enqueue(internalOperation(command, .master, at: now))
    }

    /// A sentinel has answered, or has not.
    func locatedMaster(_ result: Result<RedisReply, RedisError>, by node: Node?, at now: Double) {
        // Each is asked once, and then not kept: there may be hundreds of clients.
        if let node { remove(node) }
        guard let asked = search?.asked, let master = nodes.first else { return }
        switch result {
        case .success(.array(let parts)):
            guard parts.count == 2, let host = parts[0].text, let number = parts[1].number,
                let port = UInt16(exactly: number), port > 0, !host.isEmpty
            else { break }
            search?.asked = nil
            if let sentinel = search?.sentinels.remove(at: asked) { search?.sentinels.insert(sentinel, at: 0) }
            guard master.state == .locating else { return }
            master.endpoint = .tcp(host: host, port: port)
            master.connect(at: now)
            return
        case .success: search?.reasons.append("\(node?.name ?? name) does not know it")
        case .failure(let error): search?.reasons.append(error.description)
        }
        search?.asked = asked + 1
        askNextSentinel(at: now)
    }

    /// What a sentinel called the master is none: another one is asked first the next time.
    func masterIsNone() {
        guard var sentinels = search?.sentinels, sentinels.count > 1 else { return }
        sentinels.append(sentinels.removeFirst())
        search?.sentinels = sentinels
    }
}
