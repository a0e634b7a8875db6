// SPDX-License-Identifier: Apache-2.0
import Glibc
import Pipeline
import RelayRing
import Synchronization

/// Keeps the daemon attached to the relay at a control socket: to its successor, too, when another takes over.
final class RelayHub: Sendable {
    /// A relay whose rings are read.
    private struct Link {
        var channel: RelayChannel
        var attachment: RelayFeed.Attachment
    }

    private struct State {
        var links: [Link] = []
        /// The one that accepts connections, as far as is known.
        var current: RelayChannel?
        var complaint = ""
    }

    private let path: String
    private let feed: RelayFeed
    private let state = Mutex(State())
    private let isFinished = Atomic<Bool>(false), isExpected = Atomic<Bool>(false)

    init(path: String, feed: RelayFeed) { (self.path, self.feed) = (path, feed) }

    /// Whether no relay is attached.
    var isAlone: Bool { state.withLock { $0.links.isEmpty } }

    /// Attaches; returns the ports of listeners and servers.
    ///
    /// - Throws: ``Refusal`` with the reason.
    @discardableResult
    func attach() throws(Refusal) -> [UInt16] {
        guard let channel = RelayChannel.connect(to: path), channel.send("attach"), let answer = channel.receive()
        else {
            throw Refusal(reason: "no relay answers at \(path); start pgweir-relay, or give --listen and --upstream.")
        }
        let words = answer.text.split(separator: " ")
        guard words.count == 4, words[0] == "rings", let count = Int(words[1]), answer.descriptors.count == 3 * count
        else {
            throw Refusal(reason: "the relay at \(path) says: \(answer.text)")
        }
        let descriptors = answer.takeDescriptors()
        var readers: [RingReader] = []
        var refusal: RingError?
        for number in 0..<count {
            do throws(RingError) {
                readers.append(try RingReader(descriptors: Array(descriptors[3 * number..<3 * number + 3])))
            } catch {
                refusal = error
            }
        }
        if let refusal { throw Refusal(reason: refusal.description) }
        let link = Link(channel: channel, attachment: feed.attach(readers))
        state.withLock { state in
            state.links.append(link)
            state.current = channel
        }
        return words[3].split(separator: ",").compactMap { UInt16($0) }
    }

    /// Why the daemon is not attached.
    struct Refusal: Error { var reason: String }

    /// Watches over the attachment until ``finish()``, on a thread of its own.
    func run() {
        while !isFinished.load(ordering: .relaxed) {
            let links = state.withLock { $0.links }
            var waiting = links.map { pollfd(fd: $0.channel.descriptor, events: Int16(POLLIN), revents: 0) }
            _ = unsafe poll(&waiting, nfds_t(waiting.count), 200)
            for (link, event) in zip(links, waiting) where event.revents != 0 { hear(link) }
            if state.withLock({ $0.current == nil }), !isExpected.load(ordering: .relaxed) { attachAgain() }
        }
    }

    /// The relay's end is expected: nothing is said of it, and no other is looked for.
    func expectEnd() { isExpected.store(true, ordering: .relaxed) }

    func finish() { isFinished.store(true, ordering: .relaxed) }

    private func hear(_ link: Link) {
        let message = link.channel.receive()
        let isOver = message == nil
        guard isOver || message?.text == "handover" else { return }
        if isOver { link.attachment.end() }
        state.withLock { state in
            if state.current === link.channel { state.current = nil }
            if isOver { state.links.removeAll { $0.channel === link.channel } }
        }
        complain(
            isOver ? "a relay has ended; \(path) is looked at for another." : "another relay takes over at \(path)."
        )
    }

    private func attachAgain() {
        do throws(Refusal) {
            try attach()
            complain("attached to the relay at \(path) again.")
        } catch {
            complain(error.reason)
        }
    }

    /// Says it once.
    private func complain(_ text: String) {
        let isNew = state.withLock { state in
            defer { state.complaint = text }
            return state.complaint != text
        }
        if isNew, !isFinished.load(ordering: .relaxed), !isExpected.load(ordering: .relaxed) {
            Log.warning("relay.gone", text)
        }
    }
}
