// SPDX-License-Identifier: Apache-2.0
public import Capture
public import Costs
public import Domain
import Glibc
public import Packets
public import Quotas
import Synchronization

/// What to tap, and how to judge it.
public struct LiveTapOptions: Sendable {
    /// Interfaces, `any` or `nflog:N`.
    public var interfaces: [String]
    /// Server ports; the kernel passes nothing else on.
    ///
    /// Empty: PostgreSQL is recognized on any port.
    public var ports: [UInt16] = [5432]
    /// A pcap-filter(7) expression instead of the one made from the ports.
    public var filter: String?
    /// The kernel's ring of each tap, in bytes.
    public var buffer: Int32 = 64 << 20
    /// The most bytes kept of a packet.
    public var snapLength: Int32 = 262_144
    /// Threads; the kernel gives each the flows that hash to it.
    public var workers = 1
    /// What statements cost.
    public var prices = PriceList()
    /// Who may spend what.
    public var policy = QuotaPolicy.standard
    /// The key of fingerprints.
    public var hash = KeyedHash.standard
    /// Limits of the reassembly, for each worker.
    public var limits = ReassemblyLimits()

    /// The defaults for some interfaces.
    public init(interfaces: [String]) { self.interfaces = interfaces }

    /// What the kernel is asked to pass on: the ports, plain and inside a VLAN, and the fragments of such packets.
    func expression(for interface: String) -> String {
        if let filter { return filter }
        guard !ports.isEmpty else { return "tcp" }
        let list = ports.map { "tcp port \($0)" }.joined(separator: " or ")
        // Later fragments have no ports.
        let plain = "\(list) or (ip[6:2] & 0x1fff != 0 and ip proto 6)"
        // Linux cooked captures take VLAN headers off. The order matters: behind `vlan` all offsets are moved.
        return interface == "any" ? plain : "\(plain) or (vlan and (\(list)))"
    }
}

/// What a live capture saw, and why it ended before it was told to, if it did.
public struct LiveOutcome: Sendable {
    /// All that was seen.
    public var result: ReplayResult
    /// What went wrong with an interface.
    public var failure: CaptureError?
}

/// Taps network interfaces: the stages of ``Replay`` on packets as they come.
public enum Live {
    /// Taps until `isStopped`; returns all that was seen.
    ///
    /// Nothing here can slow a query: when a worker falls behind, the kernel drops copies, and that is counted.
    ///
    /// - Parameters:
    ///   - onReady: called when every tap is open and packets are being kept.
    ///   - isStopped: asked at least ten times a second.
    public static func run<Recorder: StatementRecorder & ~Copyable & SendableMetatype>(
        _ options: LiveTapOptions,
        recorder: consuming Recorder,
        onReady: () -> Void,
        isStopped: () -> Bool
    ) throws(CaptureError) -> LiveOutcome {
        let began = Replay.now(CLOCK_MONOTONIC)
        let taps = try open(options, fanout: nil)
        onReady()
        var worker = LiveWorker(taps: taps, options: options, recorder: recorder)
        let failure = worker.work(isStopped)
        var result = ReplayResult(policy: options.policy, capture: worker.summary, consumed: worker.summary.bytes)
        result.add(worker.shard)
        result.elapsed = Replay.now(CLOCK_MONOTONIC) - began
        result.workerCPU = [Replay.now(CLOCK_THREAD_CPUTIME_ID)]
        result.settle()
        return LiveOutcome(result: result, failure: failure)
    }

    /// Taps with `options.workers` threads.
    public static func run(
        _ options: LiveTapOptions,
        onReady: () -> Void,
        isStopped: @escaping @Sendable () -> Bool
    ) throws(CaptureError) -> LiveOutcome {
        guard options.workers > 1 else {
            return try run(options, recorder: NoRecorder(), onReady: onReady, isStopped: isStopped)
        }
        let began = Replay.now(CLOCK_MONOTONIC)
        // All taps of a group must be there before the first packet is shared out, or flows would change hands.
        let group = UInt16(truncatingIfNeeded: getpid()) &<< 3
        var taps: [[LiveCapture]] = []
        for _ in 0..<options.workers { taps.append(try open(options, fanout: group)) }
        onReady()
        let team = LiveTeam(policy: options.policy)
        let tapsOfAll = taps
        let hasRun = WorkerThreads.run(options.workers) { number in
            var worker = LiveWorker(taps: tapsOfAll[number], options: options, recorder: NoRecorder())
            let failure = worker.work { isStopped() || team.hasFailed }
            team.deposit(worker, cpu: Replay.now(CLOCK_THREAD_CPUTIME_ID), failure)
        }
        guard hasRun else { throw .noThreads(count: options.workers) }
        var outcome = team.finish()
        outcome.result.elapsed = Replay.now(CLOCK_MONOTONIC) - began
        outcome.result.settle()
        return outcome
    }

    private static func open(_ options: LiveTapOptions, fanout: UInt16?) throws(CaptureError) -> [LiveCapture] {
        var taps: [LiveCapture] = []
        for (number, interface) in options.interfaces.enumerated() {
            var live = LiveOptions(interface: interface, filter: options.expression(for: interface))
            live.buffer = options.buffer
            live.snapLength = options.snapLength
            live.fanout = fanout.map { $0 &+ UInt16(truncatingIfNeeded: number) }
            taps.append(try LiveCapture.open(live))
        }
        return taps
    }
}

/// Adds up what workers leave behind.
private final class LiveTeam: Sendable {
    private struct Sum {
        var result: ReplayResult
        var summary = CaptureSummary()
        var cpu: [Double] = []
        var failure: CaptureError?
    }
    private let sum: Mutex<Sum>
    private let policy: QuotaPolicy

    init(policy: QuotaPolicy) {
        self.policy = policy
        sum = Mutex(Sum(result: ReplayResult(policy: policy, capture: CaptureSummary(), consumed: 0)))
    }

    var hasFailed: Bool { sum.withLock { $0.failure != nil } }

    func deposit(_ worker: borrowing LiveWorker<NoRecorder>, cpu: Double, _ failure: CaptureError?) {
        var part = ReplayResult(policy: policy, capture: CaptureSummary(), consumed: 0)
        part.add(worker.shard)
        let summary = worker.summary
        let result = part
        sum.withLock { sum in
            sum.result.add(result)
            sum.summary.add(summary)
            sum.cpu.append(cpu)
            if sum.failure == nil { sum.failure = failure }
        }
    }

    func finish() -> LiveOutcome {
        let (part, summary, cpu, failure) = sum.withLock { ($0.result, $0.summary, $0.cpu, $0.failure) }
        var total = ReplayResult(policy: policy, capture: summary, consumed: summary.bytes)
        total.add(part)
        total.workerCPU = cpu
        return LiveOutcome(result: total, failure: failure)
    }
}
