// SPDX-License-Identifier: Apache-2.0
import CLinux
public import Domain
import Glibc
import Platform

/// The relay's end of a ring: puts records, and never waits.
///
/// One producer, one consumer (Lamport, "Proving the Correctness of Multiprocess Programs", 1977): each side writes one
/// word that the other reads.
@safe public struct RingWriter: ~Copyable, Sendable {
    private let data: SharedFile
    private let reader: SharedFile
    private let bell: Int32
    private let capacity: UInt64
    private var head: UInt64 = 0
    /// How far the analyser was when it was last asked.
    private var tail: UInt64 = 0
    /// The position that lies at the ring's beginning.
    private var origin: UInt64 = 0

    /// Records that keep the order of things have this room when data have none.
    private static var reserve: UInt64 { 64 << 10 }
    /// Beyond this the ring is begun anew as soon as it is empty: its first bytes are in the cache, the next ones are not.
    private static var warm: UInt64 { 128 << 10 }
    /// So many unread bytes, or a quarter of the ring, wake a sleeping reader.
    private static var most: UInt64 { 1 << 20 }

    /// A ring of `capacity` bytes: a power of two from 256 KiB to 1 GiB.
    public init(capacity: Int) throws(RingError) {
        precondition(capacity >= 256 << 10 && capacity <= 1 << 30 && capacity & (capacity - 1) == 0)
        let data = try SharedFile.create(size: RingLayout.page + capacity)
        let reader = try SharedFile.create(size: RingLayout.page)
        let bell = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard bell >= 0 else { throw .system(what: "eventfd", code: errno) }
        data.word(RingLayout.magicOffset).store(RingLayout.magic)
        data.word(RingLayout.capacityOffset).store(UInt64(capacity))
        // Our own mapping stays writable.
        data.forbidFurtherWriting()
        self.data = data
        self.reader = reader
        self.bell = bell
        self.capacity = UInt64(capacity)
    }

    deinit { Glibc.close(bell) }

    /// What the analyser is given: the data, its own page, and the bell.
    public var descriptors: [Int32] { [data.descriptor, reader.descriptor, bell] }

    /// Bytes, heads included, that were put and that the analyser has not taken yet.
    public var unread: UInt64 {
        let tail = reader.word(RingLayout.tailOffset).load()
        return head >= tail && head &- tail <= capacity ? head &- tail : 0
    }

    /// The machine's clock, for ``RingRecord/time``.
    @inline(__always)
    public static func now() -> Timestamp {
        SystemClock.time()
    }

    /// A place for up to `count` bytes that ``commit(_:count:)`` publishes; `nil` when there is no room.
    @inline(__always)
    public mutating func place(_ count: Int) -> UnsafeMutableRawPointer? {
        if head &- origin > Self.warm { rewind() }
        guard hasRoom(UInt64(truncatingIfNeeded: RingLayout.size(count)) &+ Self.reserve) else { return nil }
        return unsafe address(head) + RingLayout.head
    }

    /// Publishes the first `count` bytes at the place asked for last.
    @inline(__always)
    public mutating func commit(_ record: RingRecord, count: Int) {
        let place = unsafe address(head)
        let words = UInt64(record.kind.rawValue) | (record.side == .server ? 256 : 0)
        // In range: every caller made sure of the record's size; the second mapping takes what is behind the end.
        unsafe place.storeBytes(of: UInt64(truncatingIfNeeded: count) | words &<< 32, as: UInt64.self)
        unsafe (place + 8).storeBytes(of: UInt64(record.slot) | UInt64(record.serial) &<< 32, as: UInt64.self)
        unsafe (place + 16).storeBytes(of: record.time.nanoseconds, as: Int64.self)
        unsafe (place + 24).storeBytes(of: record.position, as: UInt64.self)
        head &+= UInt64(truncatingIfNeeded: RingLayout.size(count))
        data.word(RingLayout.headOffset).store(head)
        if head &- tail > alarm { wake() }
    }

    /// Copies `bytes`; false when there is no room.
    public mutating func put(_ record: RingRecord, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let place = unsafe place(bytes.count), let source = bytes.baseAddress else { return false }
        unsafe place.copyMemory(from: source, byteCount: bytes.count)
        commit(record, count: bytes.count)
        return true
    }

    /// Tells the analyser of bytes that were not copied.
    public func drop(_ count: Int) {
        let (bytes, records) = (data.word(RingLayout.droppedBytesOffset), data.word(RingLayout.droppedRecordsOffset))
        bytes.store(bytes.load() &+ UInt64(truncatingIfNeeded: count))
        records.store(records.load() &+ 1)
    }

    /// Tells of a connection; false when there is no room.
    public mutating func open(_ record: RingRecord, _ ends: RelayedEnds) -> Bool {
        guard hasRoom(UInt64(RingLayout.size(RingLayout.ends))) else { return false }
        let place = unsafe address(head) + RingLayout.head
        for (index, end) in [ends.client, ends.via, ends.server].enumerated() {
            // In range: 3 × 18 bytes of the 72 that there is room for.
            let start = unsafe place + 18 * index
            unsafe start.storeBytes(of: end.high, as: UInt64.self)
            unsafe (start + 8).storeBytes(of: end.low, as: UInt64.self)
            unsafe (start + 16).storeBytes(of: end.port, as: UInt16.self)
        }
        unsafe (place + 56).storeBytes(of: ends.clientBytes, as: UInt64.self)
        unsafe (place + 64).storeBytes(of: ends.serverBytes, as: UInt64.self)
        commit(record, count: RingLayout.ends)
        return true
    }

    /// Tells that a connection is over, and how many bytes it had; false when there is no room.
    public mutating func close(_ record: RingRecord, clientBytes: UInt64, serverBytes: UInt64) -> Bool {
        guard hasRoom(UInt64(RingLayout.size(RingLayout.totals))) else { return false }
        let place = unsafe address(head) + RingLayout.head
        unsafe place.storeBytes(of: clientBytes, as: UInt64.self)
        unsafe (place + 8).storeBytes(of: serverBytes, as: UInt64.self)
        commit(record, count: RingLayout.totals)
        return true
    }

    /// Whether so many bytes are free; asks the analyser's word only when it looks as if not.
    @inline(__always)
    private mutating func hasRoom(_ count: UInt64) -> Bool {
        if capacity &- (head &- tail) >= count { return true }
        return look(count)
    }

    @inline(never)
    private mutating func look(_ count: UInt64) -> Bool {
        let told = reader.word(RingLayout.tailOffset).load()
        // A word that another process writes: one that cannot be is not believed.
        guard told >= tail, told <= head else { return false }
        tail = told
        return capacity &- (head &- tail) >= count
    }

    /// The analyser looks 20 times a second by itself; it is woken when the ring fills faster than that.
    @inline(never)
    private mutating func wake() {
        let told = reader.word(RingLayout.tailOffset).load()
        if told >= tail, told <= head { tail = told }
        guard head &- tail > alarm, reader.word(RingLayout.asleepOffset).load() != 0 else { return }
        reader.word(RingLayout.asleepOffset).store(0)
        var one: UInt64 = 1
        _ = unsafe Glibc.write(bell, &one, 8)
    }

    @inline(__always)
    private var alarm: UInt64 { min(capacity &>> 2, Self.most) }

    /// Begins anew at the ring's beginning if all was read.
    ///
    /// The reader learns of it before it learns of more: what it has not read yet stays where it is.
    @inline(__always)
    private mutating func rewind() {
        guard reader.word(RingLayout.tailOffset).load() == head else { return }
        (tail, origin) = (head, head)
        data.word(RingLayout.originOffset).store(origin)
    }

    @inline(__always)
    private func address(_ position: UInt64) -> UnsafeMutableRawPointer {
        let offset = Int(truncatingIfNeeded: (position &- origin) & (capacity &- 1))
        return unsafe data.base + (RingLayout.page &+ offset)
    }
}
