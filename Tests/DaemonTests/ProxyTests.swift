// SPDX-License-Identifier: Apache-2.0
import Glibc
import Pipeline
import Platform
import RelayRing
import ServiceLifecycle
import Synchronization
import TestKit
import Testing

@testable import Daemon

/// A relay without rings: it says who it is, and holds the connection.
private final class FakeRelay: Sendable {
    private let descriptor: Int32
    private let attached = Mutex<[RelayChannel]>([])
    private let isOver = Atomic<Bool>(false)

    /// Listens at `path`, and answers with `text`.
    init?(at path: String, saying text: String = "rings 0 ports 5432,6432") {
        guard let descriptor = RelayChannel.listen(at: path) else { return nil }
        self.descriptor = descriptor
        // No task: other tests may hold all threads of the pool.
        let isStarted = WorkerThread.runDetached { [self] in
            while !isOver.load(ordering: .acquiring) { answer(text) }
        }
        guard isStarted else { return nil }
    }

    private func answer(_ text: String) {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&waiting, 1, 10) > 0 else { return }
        let channel = RelayChannel(descriptor: accept(descriptor, nil, nil))
        guard channel.receive()?.text == "attach", channel.send(text) else { return }
        attached.withLock { $0.append(channel) }
    }

    /// How many are attached.
    var count: Int { attached.withLock { $0.count } }

    /// Ends: nobody answers any more, and who is attached is cut.
    func end() {
        isOver.store(true, ordering: .releasing)
        close(descriptor)
        attached.withLock { $0 = [] }
    }
}

/// The hub as a service.
private struct HubService: Service {
    let hub: RelayHub
    let runner = Runner()

    func run() async {
        await runner.run("no thread", isAwaited: false) { [hub] in hub.run() }
        hub.finish()
    }
}

struct ProxyTests {
    private func hub(_ path: String) -> RelayHub { RelayHub(path: path, feed: RelayFeed(workers: 1)) }

    @Test func `who attaches learns the relay's ports`() async throws {
        let folder = try ScratchFolder()
        let path = folder.file("relay.sock")
        let relay = try #require(FakeRelay(at: path))
        let hub = hub(path)
        let ports = try await aside { try hub.attach() }
        #expect(ports == [5432, 6432] && !hub.isAlone && relay.count == 1)
        relay.end()
    }

    @Test func `a relay that is not there, or says something else, is a refusal with its reason`() async throws {
        let folder = try ScratchFolder()
        let path = folder.file("relay.sock")
        let none = #expect(throws: RelayHub.Refusal.self) { try hub(path).attach() }
        #expect(none?.reason.hasPrefix("no relay answers at") == true)
        let relay = try #require(FakeRelay(at: path, saying: "another daemon is attached"))
        let refusal = await #expect(throws: RelayHub.Refusal.self) { try await aside { try hub(path).attach() } }
        #expect(refusal?.reason.hasSuffix("says: another daemon is attached") == true)
        relay.end()
    }

    @Test func `a relay's end is noticed, and another one in its place is attached to`() async throws {
        let folder = try ScratchFolder()
        let path = folder.file("relay.sock")
        let first = try #require(FakeRelay(at: path))
        let hub = hub(path)
        _ = try await aside { try hub.attach() }
        let running = Running(HubService(hub: hub))
        first.end()
        try await eventually("its end is noticed") { hub.isAlone }
        let second = try #require(FakeRelay(at: path))
        try await eventually("another one is attached to") { second.count == 1 && !hub.isAlone }
        try await running.stop()
        second.end()
    }

    @Test func `a relay whose end is expected is not looked for again`() async throws {
        let folder = try ScratchFolder()
        let path = folder.file("relay.sock")
        let first = try #require(FakeRelay(at: path))
        let hub = hub(path)
        _ = try await aside { try hub.attach() }
        let running = Running(HubService(hub: hub))
        hub.expectEnd()
        first.end()
        let second = try #require(FakeRelay(at: path))
        try await eventually("its end is noticed") { hub.isAlone }
        try await running.stop()
        #expect(second.count == 0)
        second.end()
    }
}
