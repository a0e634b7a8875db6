// SPDX-License-Identifier: Apache-2.0
import Platform
import RelayRing
import Synchronization

/// What one worker counted, for others to read at any time.
final class WorkerBoard: Sendable {
    let accepted = Atomic<UInt64>(0), refused = Atomic<UInt64>(0), failed = Atomic<UInt64>(0)
    let reset = Atomic<UInt64>(0), cut = Atomic<UInt64>(0)
    let toServer = Atomic<UInt64>(0), toClient = Atomic<UInt64>(0)
    let copied = Atomic<UInt64>(0), droppedBytes = Atomic<UInt64>(0), droppedRecords = Atomic<UInt64>(0)
    /// Bytes of rings that a daemon left unread.
    let unread = Atomic<UInt64>(0)
    /// How often no descriptor was to be had for a connection.
    let exhausted = Atomic<UInt64>(0)
    /// Connections that the relay had made itself.
    let loops = Atomic<UInt64>(0)
    /// What the control plane wants of the worker, and how it wakes it.
    let orders = Mutex(Orders())
    let wakeUp: WakeUp

    init(_ wakeUp: WakeUp) { self.wakeUp = wakeUp }

    struct Orders {
        /// A ring that an analyser has the other end of.
        var ring: RingBox?
        /// The analyser is gone.
        var detaches = false
        /// No connection is accepted any more.
        var closesListeners = false
        /// Open connections end now.
        var cuts = false
    }
}

/// What all threads of a relay share.
final class RelayBoard: Sendable {
    let options: RelayOptions
    let workers: [WorkerBoard]
    let upstreams: Upstreams
    let ownConnections = OwnConnections()
    let clients = ClientCounts()
    /// Connections of all workers.
    let open = Atomic<Int>(0)
    /// The most of them: as asked for, or what the limit of open files allows.
    let most: Int
    /// Clients that are being told why they are refused.
    let refusing = Atomic<Int>(0)
    /// What is left of descriptors for those.
    let mostRefusing: Int

    init(options: RelayOptions, wakeUps: [WakeUp], upstreams: Upstreams, files: Int) {
        self.options = options
        self.upstreams = upstreams
        workers = wakeUps.map { WorkerBoard($0) }
        // What the process has open besides connections: rings, queues, control.
        let rest = max(0, files - 16 - 10 * options.workers)
        // Each may be that of somebody who wants to cancel, and need a second one.
        mostRefusing = max(1, min(256, rest / 8))
        most = max(1, min(options.maxConnections, rest / 2 - mostRefusing))
    }
}

/// Carries a ring from where it is made to where it is used.
final class RingBox: Sendable {
    private let ring: Mutex<RingWriter?>
    init(_ ring: consuming sending RingWriter) { self.ring = Mutex(ring) }

    /// The ring, the first time.
    func take() -> RingWriter? { ring.withLock { $0.take() } }
}
