// SPDX-License-Identifier: Apache-2.0
public import Capture
public import Costs
public import Domain
import Glibc
public import Metering
public import Packets
import Platform
import Synchronization

/// An encapsulation that mirrors use; the decoder knows more, which a filter of one's own may let through.
public enum Tunnel: String, Sendable, CaseIterable {
    /// RFC 7348, RFC 8926, RFC 2784 and ERSPAN within it, RFC 2003 and RFC 4213.
    case vxlan, geneve, gre, ipip

    var isUDP: Bool { self == .vxlan || self == .geneve }

    var expression: String {
        switch self {
        case .vxlan: "udp dst port 4789"
        case .geneve: "udp dst port 6081"
        case .gre: "ip proto 47"
        case .ipip: "ip proto 4 or ip proto 41"
        }
    }
}

/// What to tap, and how to judge it.
public struct LiveTapOptions: Sendable {
    /// Interfaces, `any` or `nflog:N`.
    public var interfaces: [String]
    /// Server ports; the kernel passes nothing else on.
    ///
    /// Empty: PostgreSQL is recognized on any port.
    public var ports: [UInt16] = [5432]
    /// Encapsulations to look into: packets of these pass the kernel's filter, whatever they carry.
    public var tunnels: [Tunnel] = []
    /// Whose packets of an encapsulation are looked into, also where a filter of one's own lets them pass.
    public var tunnelSenders = AddressRanges()
    /// The servers whose sessions count; none named: all.
    public var servers = NamedServers()
    /// A pcap-filter(7) expression instead of the one made from the ports.
    public var filter: String?
    /// The kernel's ring of each tap, in bytes.
    public var buffer: Int32 = 64 << 20
    /// The most bytes kept of a packet.
    public var snapLength: Int32 = 262_144
    /// What statements cost at the start; the pool may change it.
    public var prices = PriceList()
    /// How prices are asked for; `nil`: those of the list hold.
    public var pricing: PricingScheme?
    /// Whether a ledger takes what users use, by the pool.
    public var isMetered = false
    /// Whether that is told by origin, for nodes that share what they book.
    public var isDivided = false
    /// Whether who did what is told apart by the server.
    public var tellsServers = false
    /// Who did what is told apart by the name that the application gave at login.
    public var tellsApplications = false
    /// Whether a history takes who ran what, by the pool.
    public var keepsActivity = false
    /// Poolers, whose connections to servers are passed over.
    public var poolers = PoolerAddresses()
    /// Whether somebody will tell whose sessions are that began before the tap.
    public var resolvesSessions = false
    /// The key of fingerprints.
    public var hash = KeyedHash.standard
    /// Limits of the reassembly, for each worker.
    public var limits = ReassemblyLimits()
    /// What the tables of all workers may take.
    public var memory = MemoryBudget(bytes: MemoryBudget.usual)

    /// The defaults for some interfaces.
    public init(interfaces: [String]) { self.interfaces = interfaces }

    /// What the kernel is asked to pass on: the ports, plain and inside a VLAN, and the fragments of such packets.
    func expression(for interface: String) -> String {
        if let filter { return filter }
        guard !ports.isEmpty else { return "tcp" }
        let list = ports.map { "tcp port \($0)" }.joined(separator: " or ")
        // Later fragments have no ports.
        let plain = "\(list) or (ip[6:2] & 0x1fff != 0 and ip proto 6)"
        guard tunnels.isEmpty else {
            // The outer packets may be fragments; a fragment of UDP is told by its protocol only.
            let outer = tunnels.map(\.expression).joined(separator: " or ")
            let rest = tunnels.contains { $0.isUDP } ? " or (ip[6:2] & 0x1fff != 0 and ip proto 17)" : ""
            return "\(plain) or \(outer)\(rest)"
        }
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

/// Watches live traffic: the stages of ``Replay`` on packets, or on a relay's copies, as they come.
public enum Live {
    /// Watches until `isStopped`, with one worker on the caller's thread; returns all that was seen.
    ///
    /// Nothing here can slow a query: when a worker falls behind, copies are dropped, and that is counted.
    ///
    /// - Parameters:
    ///   - pool: where services may ask and tell in the meantime; for one worker.
    ///   - feed: a relay's rings instead of taps.
    ///   - onReady: called when every tap is open and packets are being kept.
    ///   - isStopped: asked at least ten times a second.
    public static func run<Recorder: StatementRecorder & ~Copyable & SendableMetatype>(
        _ options: LiveTapOptions,
        pool: WorkerPool,
        feed: RelayFeed? = nil,
        recorder: consuming Recorder,
        onReady: () throws(CaptureError) -> Void,
        isStopped: () -> Bool
    ) throws(CaptureError) -> LiveOutcome {
        let began = SystemClock.now()
        let taps = feed == nil ? try open(options, fanout: nil) : []
        try onReady()
        let failure = work(0, at: pool, taps, feed, options, recorder: recorder, isStopped)
        return finish(pool, began, failure)
    }

    /// Watches with the pool's workers, a thread each.
    public static func run(
        _ options: LiveTapOptions,
        pool: WorkerPool,
        feed: RelayFeed? = nil,
        onReady: () throws(CaptureError) -> Void,
        isStopped: @escaping @Sendable () -> Bool
    ) throws(CaptureError) -> LiveOutcome {
        let workers = pool.handles.count
        guard workers > 1 else {
            let recorder = NoRecorder()
            return try run(options, pool: pool, feed: feed, recorder: recorder, onReady: onReady, isStopped: isStopped)
        }
        let began = SystemClock.now()
        // All taps of a group must be there before the first packet is shared out, or flows would change hands.
        let group = UInt16(truncatingIfNeeded: getpid()) &<< 3
        var taps: [[LiveCapture]] = []
        for _ in 0..<workers { taps.append(feed == nil ? try open(options, fanout: group) : []) }
        try onReady()
        let failures = Mutex<[CaptureError]>([])
        let tapsOfAll = taps
        let isOver: @Sendable () -> Bool = { isStopped() || failures.withLock { !$0.isEmpty } }
        let hasRun = WorkerThreads.run(workers) { number in
            let failure = work(number, at: pool, tapsOfAll[number], feed, options, recorder: NoRecorder(), isOver)
            if let failure { failures.withLock { $0.append(failure) } }
        }
        guard hasRun else {
            // Services run already: none is to wait for a worker.
            for handle in pool.handles { handle.mailbox.close() }
            throw .noThreads(count: workers)
        }
        return finish(pool, began, failures.withLock { $0.first })
    }

    /// One worker, from its source to its end.
    private static func work<Recorder: StatementRecorder & ~Copyable & SendableMetatype>(
        _ number: Int,
        at pool: WorkerPool,
        _ taps: [LiveCapture],
        _ feed: RelayFeed?,
        _ options: LiveTapOptions,
        recorder: consuming Recorder,
        _ isStopped: () -> Bool
    ) -> CaptureError? {
        var worker: any WorkerState & ~Copyable
        if let feed {
            let source = RelaySource(feed, worker: number)
            worker = LiveWorker(number, at: pool, source: source, options: options, recorder: recorder)
        } else {
            let source = TapSource(taps, options: options)
            worker = LiveWorker(number, at: pool, source: source, options: options, recorder: recorder)
        }
        return pool.handles[number].work(on: &worker, isStopped)
    }

    /// Adds up what the workers left at the pool.
    private static func finish(_ pool: WorkerPool, _ began: Double, _ failure: CaptureError?) -> LiveOutcome {
        var result = pool.close()
        result.elapsed = SystemClock.now() - began
        return LiveOutcome(result: result, failure: failure)
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
