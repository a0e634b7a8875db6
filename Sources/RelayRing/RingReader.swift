// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// The analyser's end of a ring.
///
/// Whatever the relay's memory holds, nothing outside of the ring is read: records that cannot be end the reading, and
/// ``isBroken`` tells.
@safe public final class RingReader: @unchecked Sendable {
    private let data: SharedFile
    private let own: SharedFile
    private let bell: Int32
    private let capacity: UInt64
    private var tail: UInt64 = 0
    /// The ring holds what no relay writes; nothing more is read from it.
    public private(set) var isBroken = false

    /// Takes the three descriptors of a ring, as ``RingWriter/descriptors`` gives them.
    ///
    /// - Throws: ``RingError``; the descriptors are closed then.
    public init(descriptors: [Int32]) throws(RingError) {
        guard descriptors.count == 3 else {
            for descriptor in descriptors { Glibc.close(descriptor) }
            throw .foreign(reason: "it has \(descriptors.count) descriptors, not 3")
        }
        bell = descriptors[2]
        do throws(RingError) {
            do throws(RingError) {
                data = try SharedFile.adopt(descriptors[0], isWritable: false)
            } catch {
                Glibc.close(descriptors[1])
                throw error
            }
            own = try SharedFile.adopt(descriptors[1], isWritable: true)
        } catch {
            Glibc.close(descriptors[2])
            throw error
        }
        let magic = data.word(RingLayout.magicOffset).load()
        capacity = data.word(RingLayout.capacityOffset).load()
        // Both mappings of the ring and the page make the length.
        let mapped = UInt64((data.length - RingLayout.page) / 2)
        guard magic == RingLayout.magic, capacity == mapped, capacity > 0, capacity & (capacity &- 1) == 0 else {
            throw .foreign(reason: "it is not of this version")
        }
        tail = own.word(RingLayout.tailOffset).load()
    }

    deinit { Glibc.close(bell) }

    /// Readable when the relay wants to be heard before the next look.
    public var descriptor: Int32 { bell }

    /// Says that nobody looks for a while: the relay rings when the ring fills.
    public func sleep() { own.word(RingLayout.asleepOffset).store(1) }

    /// Says that somebody looks again.
    public func wake() {
        own.word(RingLayout.asleepOffset).store(0)
        var count: UInt64 = 0
        _ = unsafe read(bell, &count, 8)
    }

    /// What the relay forwarded without a copy, because there was no room.
    public var dropped: (bytes: UInt64, records: UInt64) {
        (data.word(RingLayout.droppedBytesOffset).load(), data.word(RingLayout.droppedRecordsOffset).load())
    }

    /// Bytes that wait.
    public var waiting: UInt64 {
        let head = data.word(RingLayout.headOffset).load()
        return head >= tail ? head &- tail : 0
    }

    /// Hands the records that are there, at most `limit`, to `body`, each with its bytes; returns how many.
    public func drain(_ limit: Int, _ body: (RingRecord, RawSpan) -> Void) -> Int {
        let head = data.word(RingLayout.headOffset).load()
        // After the head: it is moved only while all was read, so it is that of all up to there.
        let origin = data.word(RingLayout.originOffset).load()
        var count = 0
        // What another process writes is not believed: every record must lie inside of what is said to be there.
        guard !isBroken, head >= tail, head &- tail <= capacity else {
            isBroken = true
            return 0
        }
        var given = tail
        while count < limit, tail < head {
            let available = head &- tail
            let place =
                unsafe data.base + (RingLayout.page &+ Int(truncatingIfNeeded: (tail &- origin) & (capacity &- 1)))
            guard available >= UInt64(RingLayout.head), let record = unsafe Self.record(at: place, available) else {
                isBroken = true
                break
            }
            let bytes = unsafe UnsafeRawBufferPointer(start: place + RingLayout.head, count: record.count)
            body(record, unsafe RawSpan(_unsafeBytes: bytes))
            tail &+= UInt64(RingLayout.size(record.count))
            count += 1
            // Room for the relay now and then, not only at the end.
            if tail &- given > 256 << 10 {
                given = tail
                own.word(RingLayout.tailOffset).store(tail)
            }
        }
        own.word(RingLayout.tailOffset).store(tail)
        return count
    }

    private static func record(at place: UnsafeMutableRawPointer, _ available: UInt64) -> RingRecord? {
        // In range: 32 bytes are there.
        let words = unsafe place.load(as: UInt64.self)
        let names = unsafe (place + 8).load(as: UInt64.self)
        var record = RingRecord()
        record.count = Int(words & 0xFFFF_FFFF)
        guard UInt64(RingLayout.size(record.count)) <= available,
            let kind = RingRecordKind(rawValue: UInt8(truncatingIfNeeded: words &>> 32)), words &>> 41 == 0
        else { return nil }
        record.kind = kind
        record.side = words &>> 40 & 1 == 0 ? .client : .server
        record.slot = UInt32(truncatingIfNeeded: names)
        record.serial = UInt32(truncatingIfNeeded: names &>> 32)
        record.time = Timestamp(nanoseconds: unsafe (place + 16).load(as: Int64.self))
        record.position = unsafe (place + 24).load(as: UInt64.self)
        switch kind {
        case .opened: return record.count == RingLayout.ends ? record : nil
        case .closed: return record.count == RingLayout.totals ? record : nil
        case .bytes: return record
        }
    }

    /// The ends that a record of the kind `opened` tells; `nil`: it is too short.
    public static func ends(_ bytes: RawSpan) -> RelayedEnds? {
        guard bytes.byteCount >= RingLayout.ends else { return nil }
        var ends = RelayedEnds(client: end(bytes, 0), via: end(bytes, 18), server: end(bytes, 36))
        (ends.clientBytes, ends.serverBytes) = (bytes.hostOrder64(at: 56), bytes.hostOrder64(at: 64))
        return ends
    }

    private static func end(_ bytes: RawSpan, _ start: Int) -> Endpoint {
        Endpoint(
            high: bytes.hostOrder64(at: start),
            low: bytes.hostOrder64(at: start + 8),
            port: bytes.littleEndian16(at: start + 16)
        )
    }

    /// How many bytes each direction of a connection had, as a record of the kind `closed` tells.
    public static func totals(_ bytes: RawSpan) -> (client: UInt64, server: UInt64)? {
        guard bytes.byteCount >= RingLayout.totals else { return nil }
        return (bytes.hostOrder64(at: 0), bytes.hostOrder64(at: 8))
    }
}

extension RawSpan {
    /// Both processes run on one machine: its own order of bytes, which is little-endian wherever Swift runs on Linux.
    fileprivate func hostOrder64(at offset: Int) -> UInt64 { littleEndian64(at: offset) }
}
