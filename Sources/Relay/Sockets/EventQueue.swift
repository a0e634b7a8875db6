// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// What happened to a descriptor, by epoll(7).
struct Events: OptionSet, BitwiseCopyable {
    let rawValue: UInt32
    static var readable: Events { Events(rawValue: 0x001) }
    static var urgent: Events { Events(rawValue: 0x002) }
    static var writable: Events { Events(rawValue: 0x004) }
    static var failed: Events { Events(rawValue: 0x008) }
    static var hungUp: Events { Events(rawValue: 0x010) }
    /// The peer sends no more.
    static var ended: Events { Events(rawValue: 0x2000) }
    /// Told once a change, not as long as it lasts.
    static var edge: Events { Events(rawValue: 1 << 31) }
}

/// Waits for many descriptors.
@safe struct EventQueue: ~Copyable {
    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>
    private static let capacity = 256

    init() throws(RelayError) {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw .system(what: "epoll_create1", code: errno) }
        unsafe events = .allocate(capacity: Self.capacity)
    }

    deinit {
        close(descriptor)
        unsafe events.deallocate()
    }

    /// Watches a descriptor; closing that ends it.
    func add(_ watched: Int32, _ interest: Events, key: UInt64) -> Bool {
        control(EPOLL_CTL_ADD, watched, interest, key)
    }

    /// Watches it for something else.
    func change(_ watched: Int32, _ interest: Events, key: UInt64) {
        _ = control(EPOLL_CTL_MOD, watched, interest, key)
    }

    /// Watches it no more.
    func remove(_ watched: Int32) { _ = control(EPOLL_CTL_DEL, watched, [], 0) }

    private func control(_ operation: Int32, _ watched: Int32, _ interest: Events, _ key: UInt64) -> Bool {
        var event = unsafe epoll_event()
        unsafe event.events = interest.rawValue
        unsafe event.data.u64 = key
        return unsafe epoll_ctl(descriptor, operation, watched, &event) == 0
    }

    /// Waits until something happens or `timeout` ms passed (-1: for ever), and returns how much happened.
    @inline(__always)
    func wait(_ timeout: Int32) -> Int {
        Int(max(0, unsafe epoll_wait(descriptor, events, Int32(Self.capacity), timeout)))
    }

    /// What happened, by a number below what ``wait(_:)`` returned last.
    @inline(__always)
    func event(_ index: Int) -> (key: UInt64, events: Events) {
        precondition(index >= 0 && index < Self.capacity)
        return unsafe (events[index].data.u64, Events(rawValue: events[index].events))
    }
}
