// SPDX-License-Identifier: Apache-2.0
public import Capture
public import Costs
public import Domain
import Glibc
public import Metering
public import Packets
import Platform
public import Quotas

/// What to replay, and how.
public struct ReplayOptions: Sendable {
    /// Capture files in order; `-` is standard input.
    public var paths: [String]
    /// Server ports; empty: PostgreSQL is recognized on any port.
    public var ports: [UInt16] = []
    /// Poolers, whose connections to servers are passed over.
    public var poolers = PoolerAddresses()
    /// The servers whose sessions count; none named: all.
    public var servers = NamedServers()
    /// Whose packets of an encapsulation are looked into; `nil`: everybody's.
    public var tunnelSenders: AddressRanges?
    /// A pcap-filter(7) expression.
    public var filter: String?
    /// Threads; each owns the flows that hash to it.
    public var workers = 1
    /// What statements cost.
    public var prices = PriceList()
    /// Who may spend what.
    public var policy = QuotaPolicy.standard
    /// Patterns are to be priced: then the result holds what is to be asked; `nil`: prices are those of the list.
    public var pricing: PricingScheme?
    /// Whether the result tells who used how much when, by ten seconds.
    public var keepsTimeline = false
    /// Who did what is told apart by the name that the application gave at login.
    public var tellsApplications = false
    /// The key of fingerprints.
    public var hash = KeyedHash.standard
    /// Limits of the reassembly, for each worker.
    public var limits = ReassemblyLimits()
    /// Patterns that are kept, of all workers together; those beyond are counted with others of their user.
    public var patterns = TableLimits.mostReplayed

    /// The defaults for some files.
    public init(paths: [String]) { self.paths = paths }
}

/// Runs captures through the stages, start to end.
public enum Replay {
    /// Ports taken for servers where a session is joined mid-stream and no port was asked for.
    static let usualPorts: [UInt16] = [5432, 6432]

    /// Replays the captures; `recorder` sees every statement if there is one worker.
    ///
    /// - Parameters:
    ///   - onProgress: called now and then, from any thread.
    ///   - isCancelled: asked before every chunk; the result then holds what was read so far.
    public static func run<Recorder: StatementRecorder & ~Copyable & SendableMetatype>(
        _ options: ReplayOptions,
        recorder: consuming Recorder,
        onProgress: @escaping @Sendable (ReplayProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(CaptureError) -> ReplayResult {
        let began = SystemClock.now()
        var feed = try open(options)
        var shard = makeShard(options, recorder: recorder)
        let chunk = Chunk()
        while !isCancelled(), try feed.fill(chunk) {
            try feed.decode(chunk, into: &shard)
            shard.analyser.metering.recorder.flush()
            if shard.analyser.metering.wantsSweep { shard.analyser.sweepTables() }
            onProgress(feed.progress)
        }
        shard.finish(at: feed.end)
        var result = ReplayResult(policy: options.policy, capture: feed.summary, consumed: feed.progress.consumed)
        result.add(shard)
        result.elapsed = SystemClock.now() - began
        result.workerCPU = [SystemClock.threadCPU()]
        result.isCancelled = isCancelled()
        result.settle()
        return result
    }

    /// Replays the captures with `options.workers` threads.
    ///
    /// The result does not depend on their number.
    public static func run(
        _ options: ReplayOptions,
        onProgress: @escaping @Sendable (ReplayProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(CaptureError) -> ReplayResult {
        guard options.workers > 1 else {
            return try run(options, recorder: NoRecorder(), onProgress: onProgress, isCancelled: isCancelled)
        }
        let began = SystemClock.now()
        let exchange = Exchange(source: try open(options), workers: options.workers)
        let hasRun = WorkerThreads.run(options.workers) { worker in
            var shard = makeShard(options, recorder: NoRecorder())
            exchange.run(worker, &shard, onProgress, isCancelled)
            exchange.deposit(worker, shard)
        }
        guard hasRun else { throw .noThreads(count: options.workers) }
        var result = try exchange.result(options)
        result.elapsed = SystemClock.now() - began
        result.isCancelled = isCancelled()
        result.settle()
        return result
    }

    private static func open(_ options: ReplayOptions) throws(CaptureError) -> ReplaySource {
        let first = try CaptureFile.open(path: options.paths.first ?? "-")
        var filter: PacketFilter?
        if let expression = options.filter { filter = try PacketFilter(expression) }
        var sizes: UInt64? = 0
        for path in options.paths {
            var status = stat()
            guard let known = sizes, unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                sizes = nil
                break
            }
            sizes = known + UInt64(max(0, status.st_size))
        }
        return ReplaySource(
            first: first,
            others: Array(options.paths.dropFirst()),
            totalSize: sizes,
            decoder: PacketDecoder(
                ports: PortSet(options.ports),
                hash: options.hash,
                tunnelSenders: options.tunnelSenders
            ),
            filter: filter
        )
    }

    private static func makeShard<Recorder: StatementRecorder & ~Copyable>(
        _ options: ReplayOptions,
        recorder: consuming Recorder
    ) -> Shard<Recorder> {
        var shard = Shard(
            serverPorts: PortSet(options.ports.isEmpty ? usualPorts : options.ports),
            hash: options.hash,
            priceList: options.prices,
            limits: options.limits,
            tables: .replay(workers: options.workers, patterns: options.patterns),
            recorder: recorder
        )
        shard.analyser.poolers = options.poolers
        shard.analyser.servers = options.servers
        shard.analyser.metering.tellsApplications = options.tellsApplications
        if options.keepsTimeline || options.policy.needsTimeline { shard.analyser.metering.meter() }
        shard.analyser.metering.logPaces()
        if let scheme = options.pricing { shard.analyser.metering.askForPrices(scheme) }
        return shard
    }
}
