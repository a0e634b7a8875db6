// SPDX-License-Identifier: Apache-2.0
import Glibc
import ServiceLifecycle
import Synchronization
import Testing

@testable import Daemon

/// A service of nothing but its thread.
private struct Loop: Service {
    let runner: Runner
    var isAwaited = true
    let body: @Sendable (Runner) -> Void

    func run() async {
        await runner.run("no thread", isAwaited: isAwaited) { body(runner) }
    }
}

struct RunnerTests {
    @Test func `a service has a thread of its own, which takes signals as those of the packets do`() async throws {
        let found = Shared<(pthread: UInt, blocksTerm: Bool)?>(nil)
        let running = Running(
            Loop(runner: Runner()) { runner in
                var mask = sigset_t()
                unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
                let isBlocked = unsafe sigismember(&mask, SIGTERM) == 1
                found.value = (UInt(pthread_self()), isBlocked)
                while !runner.isFinished { runner.rest(60) }
            }
        )
        try await eventually("it runs") { found.value != nil }
        #expect(found.value?.blocksTerm == false)
        try await running.stop()
    }

    @Test func `the end of a service is waited for while it is busy`() async throws {
        let gate = Gate()
        gate.close()
        let hasStored = Shared(false)
        let running = Running(
            Loop(runner: Runner()) { runner in
                while !runner.isFinished { runner.rest(60) }
                gate.pass()
                hasStored.value = true
            }
        )
        await running.askToStop()
        try await eventually("it is busy") { gate.waiting == 1 }
        #expect(!running.isOver)
        gate.open()
        try await eventually("the end") { running.isOver }
        #expect(hasStored.value)
    }

    @Test func `a service that waits for a server is left behind`() async throws {
        let gate = Gate()
        gate.close()
        let running = Running(Loop(runner: Runner(), isAwaited: false) { _ in gate.pass() })
        try await eventually("it is busy") { gate.waiting == 1 }
        try await running.stop()
        #expect(gate.waiting == 1)
        gate.open()
    }

    @Test func `one that is told to end before it began ends`() async throws {
        let runner = Runner()
        runner.finish()
        let turns = Shared(0)
        let running = Running(
            Loop(runner: runner) { runner in
                while !runner.isFinished { turns.change { $0 += 1 } }
            }
        )
        try await running.stop()
        #expect(turns.value == 0)
    }

    @Test func `what is told to end in the moment of its start is waited for all the same`() async throws {
        for _ in 0..<200 {
            let runner = Runner()
            let hasStored = Shared(false)
            let task = Task {
                await runner.run("no thread") {
                    while !runner.isFinished { runner.rest(60) }
                    hasStored.value = true
                }
            }
            task.cancel()
            await task.value
            #expect(hasStored.value)
        }
    }

    @Test func `a task that is cancelled ends its thread`() async throws {
        let runner = Runner()
        let task = Task {
            await runner.run("no thread") { while !runner.isFinished { runner.rest(60) } }
        }
        task.cancel()
        await task.value
        #expect(runner.isFinished)
    }

    @Test func `a rest ends early when the service is woken, a sleep does not`() async throws {
        let clock = FakeClock()
        let steps = Shared<[String]>([])
        let runner = Runner(clock)
        let running = Running(
            Loop(runner: runner) { runner in
                runner.rest(10)
                steps.change { $0.append("woken at \(Int(clock.now() - 1_800_000_000))") }
                runner.sleep(10)
                steps.change { $0.append("slept until \(Int(clock.now() - 1_800_000_000))") }
                while !runner.isFinished { runner.rest(60) }
            }
        )
        try await eventually("it rests") { clock.restingCount == 1 }
        runner.wake()
        try await eventually("it is woken") { steps.value.count == 1 }
        try await eventually("it sleeps") { clock.restingCount == 1 }
        runner.wake()
        try await clock.advance(by: 4)
        try await clock.advance(by: 6)
        try await eventually("it has slept") { steps.value.count == 2 }
        #expect(steps.value == ["woken at 0", "slept until 10"])
        try await running.stop()
    }
}

struct ServiceRunTests {
    @Test func `services end one after the other, the last first, and each is waited for`() async throws {
        let ends = Shared<[String]>([])
        func service(_ name: String) -> any Service {
            Loop(runner: Runner()) { runner in
                while !runner.isFinished { runner.rest(60) }
                ends.change { $0.append(name) }
            }
        }
        // The last one ends by itself, as the packet threads do.
        let last = Loop(runner: Runner()) { _ in ends.change { $0.append("packets") } }
        let run = ServiceRun([service("relay"), service("usage"), service("pages"), last])
        run.start()
        try await aside { try run.wait() }
        #expect(ends.value == ["packets", "pages", "usage", "relay"])
    }

    @Test func `a service that fails ends all, and the program says so`() async throws {
        struct Failing: Service {
            struct Fault: Error {}
            func run() async throws { throw Fault() }
        }
        let ends = Shared(0)
        let run = ServiceRun([
            Loop(runner: Runner()) { runner in
                while !runner.isFinished { runner.rest(60) }
                ends.change { $0 += 1 }
            }, Failing(),
        ])
        run.start()
        await #expect(throws: Sysexit.software) { try await aside { try run.wait() } }
        #expect(ends.value == 1)
    }
}
