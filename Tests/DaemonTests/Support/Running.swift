// SPDX-License-Identifier: Apache-2.0
import Platform
import ServiceLifecycle
import Synchronization
import Testing

@testable import Daemon

/// Waits until something holds; it is no failure of time that this takes long on a busy machine, or where tests that wait hold all
/// threads of the pool for minutes.
func eventually(_ what: String, seconds: Double = 900, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(seconds)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw NeverHappened(what: what) }
        try await Task.sleep(for: .milliseconds(2))
    }
}

struct NeverHappened: Error, CustomStringConvertible {
    let what: String
    var description: String { "never happened: \(what)" }
}

/// Services in a group, as the daemon runs them.
final class Running: Sendable {
    private let group: ServiceGroup
    private let over: Mutex<Bool>

    init(_ services: any Service...) {
        let group = ServiceGroup(services: services)
        self.group = group
        over = Mutex(false)
        Task.detached { [self] in
            do { try await group.run() } catch { Issue.record(error) }
            over.withLock { $0 = true }
        }
    }

    /// Whether all have ended.
    var isOver: Bool { over.withLock { $0 } }

    /// Has them end.
    func askToStop() async { await group.triggerGracefulShutdown() }

    /// Has them end, and waits for it.
    func stop() async throws {
        await askToStop()
        try await eventually("the end") { isOver }
    }
}

/// What holds a thread until it is opened: a server or a disk that does not answer.
final class Gate: Sendable {
    private let state = Mutex((isClosed: false, waiting: 0))
    private let wakeUp = WakeUp()

    /// How many wait at it.
    var waiting: Int { state.withLock { $0.waiting } }

    func close() { state.withLock { $0.isClosed = true } }

    func open() {
        state.withLock { $0.isClosed = false }
        wakeUp.wake()
    }

    /// Passes once it is open.
    func pass() {
        guard state.withLock({ $0.isClosed }) else { return }
        state.withLock { $0.waiting += 1 }
        while state.withLock({ $0.isClosed }) { wakeUp.wait(0.05) }
        state.withLock { $0.waiting -= 1 }
    }
}

/// What a test and a service's thread both touch.
final class Shared<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>

    init(_ value: Value) { stored = Mutex(value) }

    var value: Value {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }

    func change(_ body: (inout Value) -> Void) { stored.withLock { body(&$0) } }
}
