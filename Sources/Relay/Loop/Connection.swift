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
    }

    var phase = Phase.connecting
    /// How many of the upstream's addresses were tried, and which one is the latest.
    var attempt: UInt8 = 0
    var target: UInt16 = 0
    var refusal = Refusal.unreachable
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
