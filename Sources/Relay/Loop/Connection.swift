// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc

/// One side of a relayed connection.
@safe struct Leg: BitwiseCopyable {
    var descriptor: Int32 = -1
    var state = State(rawValue: 0)
    /// Bytes that this side did not take yet, in memory of our own; nothing more is read for it meanwhile.
    private var pending: UnsafeMutableRawPointer?
    private var pendingStart: UInt32 = 0
    private(set) var pendingCount: UInt32 = 0
    /// Bytes that this side sent.
    var received: UInt64 = 0
    var tls: TLSSession?

    struct State: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// There may be bytes to read.
        static let readable = State(rawValue: 1)
        /// An end was announced: bytes must be read up to it, as no further event may come.
        static let hasEnd = State(rawValue: 2)
        /// The end was read.
        static let finished = State(rawValue: 4)
        /// This side was told that nothing more comes.
        static let shut = State(rawValue: 8)
        /// There is an urgent byte to read.
        static let urgent = State(rawValue: 16)
        /// What it sends is looked at before it goes on: the beginning of a login.
        static let examined = State(rawValue: 32)
        /// It waits for another turn to be read.
        static let queued = State(rawValue: 64)
    }

    /// Nothing more may be sent to it for now.
    var isBlocked: Bool { pendingCount > 0 }

    /// Keeps bytes until they can be sent.
    mutating func keep(_ bytes: UnsafeRawPointer, _ count: Int) {
        let place = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
        unsafe place.copyMemory(from: bytes, byteCount: count)
        unsafe pending = unsafe place
        (pendingStart, pendingCount) = (0, UInt32(truncatingIfNeeded: count))
    }

    /// Sends what was kept; false when the connection is broken.
    mutating func flush() -> Bool {
        while pendingCount > 0, let place = unsafe pending {
            // In range: start and count are moved together, within what was kept.
            let sent = unsafe send(place + Int(pendingStart), Int(pendingCount))
            if sent == Socket.Outcome.again { return true }
            guard sent > 0 else { return false }
            pendingStart &+= UInt32(truncatingIfNeeded: sent)
            pendingCount &-= UInt32(truncatingIfNeeded: sent)
        }
        forget()
        return true
    }

    /// Drops what was kept.
    mutating func forget() {
        unsafe pending?.deallocate()
        unsafe pending = nil
        pendingCount = 0
    }

    @inline(__always)
    func receive(_ place: UnsafeMutableRawPointer, _ count: Int) -> Int {
        if let tls { return unsafe tls.receive(place, count) }
        return unsafe Socket.receive(descriptor, place, count)
    }

    @inline(__always)
    func send(_ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        if let tls { return unsafe tls.send(bytes, count) }
        return unsafe Socket.send(descriptor, bytes, count)
    }

    /// The bytes that are there, without taking them; `nil`: no more come.
    func peek(_ count: Int) -> [UInt8]? {
        if let tls { return tls.peek(count) }
        return Socket.peek(descriptor, count)
    }

    /// Tells this side that nothing more comes.
    mutating func shut() {
        state.insert(.shut)
        tls?.end()
        shutdown(descriptor, linux_shut_writing)
    }

    /// Closes it, by a reset if so asked.
    mutating func close(resets: Bool) {
        guard descriptor >= 0 else { return }
        forget()
        tls?.free()
        tls = nil
        if resets { Socket.reset(descriptor) } else { Glibc.close(descriptor) }
        descriptor = -1
        state = State(rawValue: 0)
    }
}

/// What both sides share.
struct Connection: BitwiseCopyable {
    enum Phase: UInt8, BitwiseCopyable {
        /// The client's first bytes tell whether it wants TLS.
        case greeting
        /// TLS begins with the client.
        case clientHandshake
        /// The upstream is being connected to.
        case connecting
        /// The upstream was asked for TLS.
        case upstreamGreeting
        /// TLS begins with the upstream.
        case upstreamHandshake
        /// Bytes move.
        case open
        /// The client is going to be told why it is refused.
        case refusing
        /// It was told; its last bytes are passed over.
        case lingering
        /// A client beyond the limit is in TLS with the upstream, where only a cancel request may follow.
        case cancelling
        /// It wants to log in instead, and waits until there is room.
        case queued
        /// It may be a turn of a loop: it waits until the server answers others.
        case held
    }

    /// Where the connection goes, or went last.
    enum Target: Equatable, BitwiseCopyable {
        case none
        /// Where it was going before netfilter's REDIRECT brought it here.
        case original
        /// The upstream of this serial number.
        case upstream(UInt32)
    }

    /// How a client beyond the limit begins, where the relay passes TLS through and cannot see what it wants.
    enum Encryption: BitwiseCopyable {
        case unknown
        /// It waits for the answer to an SSLRequest, which stands unread in its socket.
        case requested
        /// It began with TLS.
        case direct
        /// The upstream's TLS is not to be had for it.
        case none
    }

    var phase = Phase.connecting
    var target = Target.none
    /// The upstreams that were tried.
    var tried = TriedUpstreams()
    /// What to say when none is left.
    var refusal = Refusal.unreachable
    var encryption = Encryption.unknown
    /// The client's TLS records, as far as they passed in ``Phase/cancelling``.
    var records = ClientRecords()
    /// The port that the upstream is connected to from; 0: none.
    var via: UInt16 = 0
    /// Whether the client has the address of an upstream, as in a loop through another relay.
    var isSuspect = false
    /// Its client's place in ``ClientCounts``.
    var client: UInt16 = 0
    /// Whether its key is among those that wait for a deadline.
    var isTimed = false
    /// Whether it counts as one of those at once, or as one that is refused.
    var isAdmitted = false
    /// Whether the client began with TLS, without asking.
    var isDirect = false
    /// Tells it from others that had its place; 0: none.
    var serial: UInt32 = 0
    /// The attachment whose analyser was told of it; 0: none.
    var announced: UInt32 = 0
    /// When the phase must be over, ns of a steady clock.
    var deadline: Int64 = 0
}
