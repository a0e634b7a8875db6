// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc
import Platform
import RelayRing
import Synchronization

/// What is around the event loops, on a thread of its own: the control socket, probes, signals, the log.
///
/// Workers never wait for it, and never log.
struct ControlPlane: ~Copyable {
    private let board: RelayBoard
    private let log: @Sendable (RelayEvent) -> Void
    private var control: Int32
    private let signals: Int32
    private var health: HealthResponder
    private var status = RelayStatus()
    private var channels: [Channel] = []
    /// The listening sockets, for whoever takes over.
    private var listeners: [Int32]
    /// When the listeners close, and when open sessions end; 0: not now.
    private var closesAt: Int64 = 0, cutsAt: Int64 = 0
    /// Whether a signal asked for the end; a relay that was taken over drains without one.
    private var isSignalled = false
    private var saidExhausted: UInt64 = 0, saidLoops: UInt64 = 0
    /// Servers that were said to be gone.
    private var saidGone: [String] = []
    private let isOver: @Sendable () -> Bool

    /// Who is connected to the control socket.
    private final class Channel {
        enum Role { case visitor, analyser, successor }
        let channel: RelayChannel
        var role = Role.visitor
        init(_ descriptor: Int32) { channel = RelayChannel(descriptor: descriptor) }
    }

    init(
        board: RelayBoard,
        control: Int32,
        signals: Int32,
        health: HealthResponder,
        listeners: [Int32],
        isOver: @escaping @Sendable () -> Bool,
        log: @escaping @Sendable (RelayEvent) -> Void
    ) {
        (self.board, self.control, self.signals, self.health) = (board, control, signals, health)
        (self.listeners, self.isOver, self.log) = (listeners, isOver, log)
        status.listen = Set(listeners.compactMap { Socket.address($0, .local)?.text }).sorted()
    }

    /// A line for people.
    var greeting: String {
        let names = board.options.upstreams.map(\.description)
        let targets = names.isEmpty ? ["wherever connections were going"] : names
        return "relaying \(status.listen.joined(separator: ", ")) to \(targets.joined(separator: ", ")) "
            + "with \(board.workers.count) event loops, up to \(board.most) connections."
    }

    /// Serves until all workers are done.
    mutating func run() {
        while !isOver() {
            let descriptors = [signals, control] + health.descriptors + channels.map { $0.channel.descriptor }
            var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            _ = unsafe poll(&waiting, nfds_t(waiting.count), status.isDraining ? 50 : 500)
            let now = RelayWorker.steady()
            if waiting[0].revents != 0 { takeSignal(now) }
            for (channel, event) in zip(channels, waiting.suffix(channels.count)) where event.revents != 0 {
                if !hear(channel) { channels.removeAll { $0 === channel } }
            }
            if waiting[1].revents != 0 { acceptChannel() }
            health.serve(isReady: status.isReady, now: now)
            drain(now)
            warn()
        }
        guard control >= 0 else { return }
        close(control)
        // Nobody has taken its place.
        unsafe unlink(board.options.control)
    }

    // MARK: Draining

    private mutating func takeSignal(_ now: Int64) {
        var info = signalfd_siginfo()
        guard unsafe read(signals, &info, MemoryLayout<signalfd_siginfo>.size) > 0 else { return }
        guard !isSignalled else {
            // The second one: at once.
            (closesAt, cutsAt) = (now, now)
            return
        }
        isSignalled = true
        // Whoever took over has the listeners.
        let delay = status.isDraining ? 0 : board.options.drainDelay
        let timeout = board.options.drainTimeout
        log(
            .info(
                "draining",
                "draining: not ready; listeners close in \(Int(delay)) s, open sessions end \(Int(timeout)) s later at most."
            )
        )
        (status.isDraining, status.isReady) = (true, false)
        closesAt = now &+ Int64(delay * 1e9)
        cutsAt = closesAt &+ Int64(timeout * 1e9)
    }

    private mutating func drain(_ now: Int64) {
        if closesAt != 0, now >= closesAt {
            closesAt = 0
            closeListeners()
        }
        if cutsAt != 0, now >= cutsAt {
            cutsAt = 0
            let open = board.open.load(ordering: .relaxed)
            if open > 0 { log(.warning("cut", "the time to drain is over: \(open) sessions are cut.")) }
            order { $0.cuts = true }
        }
    }

    private mutating func closeListeners() {
        for listener in listeners { close(listener) }
        listeners = []
        order { $0.closesListeners = true }
        health.closeListeners()
    }

    private func order(_ change: (inout WorkerBoard.Orders) -> Void) {
        for worker in board.workers { order(worker, change) }
    }

    private func order(_ worker: WorkerBoard, _ change: (inout WorkerBoard.Orders) -> Void) {
        worker.orders.withLock { change(&$0) }
        worker.wakeUp.wake()
    }

    // MARK: The control socket

    private mutating func acceptChannel() {
        let descriptor = linux_accept(control)
        guard descriptor >= 0 else { return }
        // A hundred that say nothing would be a mistake of somebody's.
        guard channels.count < 100 else {
            close(descriptor)
            return
        }
        channels.append(Channel(descriptor))
    }

    /// Takes a message, if there is one; false when the channel is over.
    private mutating func hear(_ channel: Channel) -> Bool {
        guard let message = channel.channel.receive() else {
            guard channel.channel.isOver else { return true }
            if channel.role == .analyser { detach() }
            return false
        }
        switch message.text {
        case "status": return channel.channel.send(status.json(board))
        case "attach": return attach(channel)
        case "takeover":
            guard !status.isDraining else { return channel.channel.send("error: it is draining already") }
            guard listeners.count <= RelayChannel.mostDescriptors else {
                return channel.channel.send("error: it has \(listeners.count) listeners, more than one message carries")
            }
            channel.role = .successor
            return channel.channel.send("listeners \(listeners.count)", listeners)
        case "serving" where channel.role == .successor:
            log(
                .info(
                    "taken_over",
                    "another relay took over; \(board.open.load(ordering: .relaxed)) sessions go on here until they end."
                )
            )
            (status.isDraining, status.isReady) = (true, false)
            closeListeners()
            // Its place is the successor's now.
            close(control)
            control = -1
            for other in channels where other.role == .analyser { _ = other.channel.send("handover") }
            return true
        default: return channel.channel.send("error: unknown request")
        }
    }

    /// Ports of our listeners and of servers: a daemon that taps them would see the same traffic.
    private var ports: String {
        let own = listeners.compactMap { Socket.address($0, .local)?.endpoint.port }
        return Set(own + board.options.upstreams.map(\.port)).sorted().map(String.init).joined(separator: ",")
    }

    /// Makes a ring for each worker, and hands their other ends over.
    private mutating func attach(_ channel: Channel) -> Bool {
        guard !status.isAttached else { return channel.channel.send("error: another daemon is attached") }
        var descriptors: [Int32] = []
        var rings: [RingBox] = []
        do throws(RingError) {
            for _ in board.workers {
                let ring = try RingWriter(capacity: board.options.ringBytes)
                descriptors += ring.descriptors
                rings.append(RingBox(ring))
            }
        } catch {
            return channel.channel.send("error: no memory for rings: \(error)")
        }
        guard channel.channel.send("rings \(rings.count) ports \(ports)", descriptors) else { return false }
        for (worker, box) in zip(board.workers, rings) {
            order(worker) { orders in
                orders.ring = box
                orders.detaches = false
            }
        }
        channel.role = .analyser
        status.isAttached = true
        status.attachments += 1
        log(.info("attached", "a daemon is attached."))
        return true
    }

    private mutating func detach() {
        status.isAttached = false
        order { orders in
            orders.detaches = true
            orders.ring = nil
        }
        log(.warning("detached", "the daemon is gone: queries flow, nothing is copied."))
    }

    private mutating func warn() {
        let gone = board.upstreams.all.filter { !$0.isHealthy }.map(\.name.description)
        for name in gone where !saidGone.contains(name) {
            let what = board.options.tls.upstream ? "does not answer, fails in TLS" : "does not answer"
            log(.warning("server_gone", "\(name) \(what), or its name is not known; it is asked again and again."))
        }
        for name in saidGone where !gone.contains(name) { log(.info("server_answers", "\(name) answers.")) }
        saidGone = gone
        let loops = board.workers.reduce(UInt64(0)) { $0 &+ $1.loops.load(ordering: .relaxed) }
        if loops > 0, saidLoops == 0 {
            let what =
                "connections to a server come back to the relay: check --upstream, and rules that redirect to it."
            log(.warning("loop", what))
        }
        saidLoops = loops
        let exhausted = board.workers.reduce(UInt64(0)) { $0 &+ $1.exhausted.load(ordering: .relaxed) }
        guard exhausted > 0, saidExhausted == 0 else { return }
        saidExhausted = exhausted
        log(
            .warning(
                "no_descriptor",
                "no file descriptor for a connection: raise the limit of open files (ulimit -n, LimitNOFILE=)."
            )
        )
    }
}
