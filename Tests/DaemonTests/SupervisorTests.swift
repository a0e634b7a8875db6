// SPDX-License-Identifier: Apache-2.0
import Control
import Costs
import Domain
import Glibc
import Quotas
import Reports
import Settings
import Systemd
import TestKit
import Testing

@testable import Daemon
@testable import Pipeline

/// One after the other: SIGHUP is counted for the whole process.
@Suite(.serialized) struct SupervisorTests {
    private let clock = FakeClock()
    private let systemd: NotifySocket

    init() throws { systemd = try NotifySocket() }

    private func make(
        _ view: DaemonView,
        server: ControlServer? = nil,
        output: Supervisor.Output? = nil,
        read: @escaping @Sendable () throws -> PolicySnapshot = {
            PolicySnapshot(policy: .standard, prices: PriceList())
        }
    ) -> Supervisor {
        let environment = systemd.environment()
        return Supervisor(
            view,
            server: server,
            web: nil,
            notifier: ServiceNotifier { environment[$0] },
            output: output,
            clock: clock,
            policy: read
        )
    }

    @Test func `systemd is told that the service works, and that it ends`() async throws {
        let running = Running(make(emptyView(clock)))
        try await eventually("it works") { systemd.messages == ["READY=1"] }
        try await running.stop()
        #expect(systemd.messages == ["READY=1", "STOPPING=1"])
    }

    @Test func `SIGHUP reads the configuration again, and a bad one leaves the old one in force`() async throws {
        let view = emptyView(clock)
        let isBad = Shared(false)
        let supervisor = make(view) {
            if isBad.value { throw SettingsError(file: "pgweir.yaml", message: "is bad.") }
            var policy = QuotaPolicy.standard
            policy.fallback = "premium"
            return PolicySnapshot(policy: policy, prices: PriceList())
        }
        let running = Running(supervisor)
        try await eventually("it works") { systemd.messages == ["READY=1"] }
        try await clock.advance(by: 0.25)
        Interrupt.note(SIGHUP)
        supervisor.wake()
        try await eventually("it has read") { view.now.reloads == 1 }
        try await eventually("it is told") { systemd.messages == ["READY=1", "RELOADING=1", "READY=1"] }
        #expect(view.now.reloadError == nil && view.pool.policySnapshot.policy.fallback == "premium")
        let configured = view.now.configured
        isBad.value = true
        try await clock.advance(by: 0.25)
        Interrupt.note(SIGHUP)
        supervisor.wake()
        try await eventually("it has read") { view.now.reloads == 2 }
        #expect(view.now.reloadError?.contains("is bad") == true && view.now.configured == configured)
        #expect(view.pool.policySnapshot.policy.fallback == "premium")
        try await running.stop()
    }

    @Test func `signs of life are given while every worker turns, and only then`() async throws {
        let view = emptyView(clock, workers: 1)
        let environment = systemd.environment(watchdog: 4)
        let watchdog = try #require(Watchdog(view.pool, ServiceNotifier { environment[$0] }, clock: clock))
        let running = Running(watchdog)
        try await clock.advance(by: 2)
        try await eventually("a turn is over") { clock.restingCount == 1 }
        #expect(systemd.messages == [], "the worker stands still")
        var worker: any WorkerState & ~Copyable = FinalWorkerState()
        view.pool.handles[0].turn(on: &worker, isWoken: false)
        try await clock.advance(by: 0.25)
        try await eventually("it lives") { systemd.messages == ["WATCHDOG=1"] }
        try await clock.advance(by: 2)
        try await eventually("a turn is over") { clock.restingCount == 1 }
        #expect(systemd.messages == ["WATCHDOG=1"])
        try await running.stop()
    }

    @Test func `where systemd waits for no signs of life there is no watchdog`() {
        let environment = systemd.environment()
        #expect(Watchdog(emptyView().pool, ServiceNotifier { environment[$0] }) == nil)
    }

    @Test func `the report's file is written each interval; where it cannot be, it goes on`()
        async throws
    {
        let folder = try ScratchFolder()
        let writes = Shared(0)
        let output = Supervisor.Output(path: folder.file("folder/report"), seconds: 10) { _ in
            writes.change { $0 += 1 }
            return Array("report \(writes.value)".utf8)
        }
        let running = Running(make(emptyView(clock), output: output))
        try await clock.advance(by: 1)
        try await eventually("it has tried") { writes.value == 1 && clock.restingCount == 1 }
        #expect(folder.text("folder/report").isEmpty, "there is no such folder")
        try folder.makeFolder("folder")
        try await clock.advance(by: 10)
        try await eventually("it is written") { folder.text("folder/report") == "report 2" }
        let count = writes.value
        try await clock.advance(by: 9.75)
        try await clock.advance(by: 0.25)
        try await eventually("it is written again") { writes.value == count + 1 }
        try await running.stop()
    }

    @Test func `the local socket answers, refuses what it does not know, and is gone at the end`() async throws {
        let folder = try ScratchFolder()
        let path = folder.file("pgweir.sock")
        let running = Running(make(emptyView(), server: try ControlServer(path: path)))
        let status = try await aside { try ControlClient.ask(ControlRequest("status", ["format": "json"]), at: path) }
        #expect(String(decoding: status, as: UTF8.self).contains("\"eth0\""))
        await #expect(throws: ControlError.self) {
            try await aside { try ControlClient.ask(ControlRequest("nonsense"), at: path) }
        }
        await #expect(throws: ControlError.self) {
            try await aside { try ControlClient.ask(ControlRequest("quota", ["do": "list"]), at: path) }
        }
        try await running.stop()
    }
}
