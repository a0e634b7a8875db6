// SPDX-License-Identifier: Apache-2.0
import Costs
import Quotas
import Reports
import Synchronization
import TestKit
import Testing

@testable import Daemon
@testable import Pipeline

struct CaptureServiceTests {
    private var outcome: LiveOutcome {
        let pool = WorkerPool(workers: 0, policy: PolicySnapshot(policy: .standard, prices: PriceList()))
        return LiveOutcome(result: pool.snapshot().result, failure: nil)
    }

    @Test func `packet threads are told to end, and the service ends when they have`() async throws {
        let capture = CaptureService(duration: nil, clock: FakeClock())
        let running = Running(capture)
        #expect(!capture.isStopped)
        await running.askToStop()
        try await eventually("threads are told") { capture.isStopped }
        #expect(!running.isOver && capture.outcome == nil)
        capture.finish(outcome)
        try await eventually("the end") { running.isOver }
        #expect(capture.outcome != nil)
    }

    @Test func `threads that ended before the service began are not waited for`() async throws {
        let capture = CaptureService(duration: nil, clock: FakeClock())
        capture.finish(nil)
        await capture.run()
        #expect(capture.outcome == nil)
    }

    @Test func `after its duration it ends by itself`() async throws {
        let clock = FakeClock()
        let capture = CaptureService(duration: 10, clock: clock)
        #expect(!capture.isStopped)
        try await clock.advance(by: 9.9, resting: 0)
        #expect(!capture.isStopped)
        try await clock.advance(by: 0.1, resting: 0)
        #expect(capture.isStopped)
    }

    @Test func `a failure to write ends it`() {
        let capture = CaptureService(duration: nil, clock: FakeClock())
        capture.failure.code = Sysexit.ioError
        #expect(capture.isStopped)
    }

    @Test func `sessions of a relay of its own are seen to their end`() async throws {
        let asked = Shared<[Bool]>([])
        let isDrained = Shared(false)
        let capture = CaptureService(duration: nil, clock: FakeClock()) { hasBegun in
            asked.change { $0.append(hasBegun) }
            return isDrained.value
        }
        #expect(!capture.isStopped && asked.value.isEmpty)
        capture.failure.code = Sysexit.ioError
        #expect(!capture.isStopped && !capture.isStopped)
        isDrained.value = true
        #expect(capture.isStopped && asked.value == [false, true, true])
    }

    // MARK: The report

    private let form = ReportForm(.json, top: nil, by: .user, style: TerminalStyle(width: 80, isColored: false))

    @Test func `the report is printed and written once, when the service is to end`() async throws {
        let folder = try ScratchFolder()
        let capture = CaptureService(duration: nil, clock: FakeClock())
        let printed = Shared<[[UInt8]]>([])
        let report = FinalReport(capture, form: form, file: folder.file("report.json")) { bytes in
            printed.change { $0.append(bytes) }
        }
        let running = Running(report)
        capture.finish(outcome)
        #expect(printed.value.isEmpty)
        try await running.stop()
        #expect(printed.value.count == 1 && report.failure == nil)
        #expect(Array(folder.text("report.json").utf8) == printed.value.first)
    }

    @Test func `without packet threads there is no report`() async throws {
        let printed = Shared(0)
        let report = FinalReport(CaptureService(duration: nil), form: form, file: nil) { _ in printed.change { $0 += 1 }
        }
        try await Running(report).stop()
        #expect(printed.value == 0)
    }

    @Test func `a report that cannot be printed or written is the end of the program`() async throws {
        let capture = CaptureService(duration: nil, clock: FakeClock())
        capture.finish(outcome)
        let broken = FinalReport(capture, form: form, file: nil) { _ throws(Daemon.ExitStatus) in
            throw Daemon.ExitStatus(0)
        }
        try await Running(broken).stop()
        #expect(broken.failure == Daemon.ExitStatus(0))
        let lost = FinalReport(capture, form: form, file: "/nowhere/report") { _ in }
        try await Running(lost).stop()
        #expect(lost.failure == Sysexit.ioError)
    }
}
