// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Platform
import RelayRing
import Synchronization

/// The proxy's data path: a process that accepts, connects and moves bytes, and hands a copy to whoever analyses them.
public enum Relay {
    /// Relays until a signal ends it, or another relay takes over, and the last session is over.
    ///
    /// - Parameters:
    ///   - handed: listening sockets that the process was started with (sd_listen_fds(3)).
    ///   - onReady: called once connections are accepted, with a line for people.
    ///   - log: takes lines for people; never called by an event loop.
    public static func run(
        _ options: RelayOptions,
        handed: [Int32] = [],
        onReady: (String) -> Void,
        log: @escaping @Sendable (RelayEvent) -> Void
    ) throws(RelayError) {
        signal(SIGPIPE, SIG_IGN)
        let signals = try blockSignals()
        let files = raiseFileLimit()
        let tls = try RelayTLS(options.tls)
        let (listeners, predecessor) = try listeners(options, handed)
        let health =
            if let name = options.health { try HealthResponder(name, takesOver: options.takesOver) } else {
                HealthResponder()
            }
        let upstreams = Upstreams(
            options.upstreams,
            listeners: listeners.compactMap { SocketAddress.Listener($0) },
            probe: UpstreamProbe(
                mark: options.mark,
                tls: tls.upstream,
                sendsProxyHeader: options.sendsProxyHeader,
                timeout: max(1, min(5, options.connectTimeout))
            )
        )
        if let (name, address) = upstreams.loop { throw .loop(upstream: name, address: address.text) }
        let wakeUps = (0..<options.workers).map { _ in WakeUp() }
        guard wakeUps.allSatisfy({ $0.descriptor >= 0 }) else { throw .system(what: "eventfd", code: errno) }
        let board = RelayBoard(options: options, wakeUps: wakeUps, upstreams: upstreams, files: files)
        var workers: [WorkerBox] = []
        for number in 0..<options.workers {
            let own = share(listeners, number, options.workers)
            workers.append(WorkerBox(try RelayWorker(board: board, number: number, listeners: own, tls: tls)))
        }
        guard let control = RelayChannel.listen(at: options.control) else {
            throw .system(what: "--control \(options.control)", code: errno)
        }
        // Nothing is accepted before all is there: what is accepted would be cut if the rest failed.
        let running = Counter()
        for box in workers {
            running.value.add(1, ordering: .relaxed)
            let isStarted = WorkerThread.runDetached {
                var worker = box.worker.withLock { $0.take() }
                worker?.run()
                running.value.subtract(1, ordering: .releasing)
            }
            guard isStarted else { throw .system(what: "a thread for an event loop", code: errno) }
        }
        guard WorkerThread.runDetached({ upstreams.watch() }) else { throw .system(what: "a thread", code: errno) }
        if let predecessor, !predecessor.send("serving") {
            log(.warning("predecessor_gone", "the relay that was taken over is gone."))
        }
        var plane = ControlPlane(
            board: board,
            control: control,
            signals: signals,
            health: health,
            listeners: listeners,
            isOver: { running.value.load(ordering: .acquiring) == 0 },
            log: log
        )
        if board.most < options.maxConnections {
            log(
                .warning(
                    "few_files",
                    "\(files) open files allow \(board.most) connections, not \(options.maxConnections) (ulimit -n)."
                )
            )
        }
        onReady(plane.greeting)
        plane.run()
        upstreams.stop()
    }

    /// Asks the relay whose control socket is at `path`: one message and its answer; `nil`: nobody answers.
    public static func ask(_ question: String, at path: String) -> String? {
        guard let channel = RelayChannel.connect(to: path), channel.send(question) else { return nil }
        return channel.receive()?.text
    }

    private final class Counter: Sendable { let value = Atomic<Int>(0) }

    private final class WorkerBox: Sendable {
        let worker: Mutex<RelayWorker?>
        init(_ worker: consuming sending RelayWorker) { self.worker = Mutex(worker) }
    }

    /// The control plane takes signals from a descriptor.
    private static func blockSignals() throws(RelayError) -> Int32 {
        var mask = sigset_t()
        unsafe sigemptyset(&mask)
        for number in [SIGTERM, SIGINT, SIGQUIT] { unsafe sigaddset(&mask, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &mask, nil)
        // A terminal that goes away is no reason to cut sessions.
        signal(SIGHUP, SIG_IGN)
        let descriptor = unsafe signalfd(-1, &mask, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        guard descriptor >= 0 else { throw .system(what: "signalfd", code: errno) }
        return descriptor
    }

    /// Each connection needs two descriptors: as many as the system lets us have.
    private static func raiseFileLimit() -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_max)
    }

    /// Listening sockets: those of a predecessor, those that were handed over, or new ones, one a worker and address.
    private static func listeners(
        _ options: RelayOptions,
        _ handed: [Int32]
    ) throws(RelayError) -> ([Int32], RelayChannel?) {
        if options.takesOver {
            guard let channel = RelayChannel.connect(to: options.control), channel.send("takeover"),
                let message = channel.receive()
            else { throw .noTakeover(path: options.control, reason: "nobody answers") }
            guard message.text.hasPrefix("listeners "), !message.descriptors.isEmpty else {
                throw .noTakeover(path: options.control, reason: message.text)
            }
            let listeners = message.takeDescriptors()
            for descriptor in listeners { Socket.prepareListener(descriptor) }
            return (listeners, channel)
        }
        if ask("status", at: options.control) != nil { throw .isRunning(path: options.control) }
        for descriptor in handed { Socket.prepareListener(descriptor) }
        var found = handed
        for name in options.listen {
            let addresses = SocketAddress.resolve(name, isPassive: true)
            guard !addresses.isEmpty else { throw .system(what: "--listen \(name)", code: EADDRNOTAVAIL) }
            for address in addresses {
                try Socket.probe(address)
                for _ in 0..<options.workers { found.append(try Socket.listen(address)) }
            }
        }
        guard !found.isEmpty else { throw .noListener }
        return (found, nil)
    }

    /// The listeners of one worker, as descriptors of its own: every listener is somebody's, and everybody has one.
    private static func share(_ listeners: [Int32], _ number: Int, _ workers: Int) -> [Int32] {
        let own =
            listeners.count < workers
            ? [listeners[number % listeners.count]]
            : listeners.enumerated().filter { $0.offset % workers == number }.map(\.element)
        return own.map { fcntl($0, F_DUPFD_CLOEXEC, 3) }.filter { $0 >= 0 }
    }
}
