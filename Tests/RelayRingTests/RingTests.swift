// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc
import Testing

@testable import RelayRing

/// A writer that closures can change.
private final class Box: @unchecked Sendable {
    var ring: RingWriter
    init(_ ring: consuming RingWriter) { self.ring = ring }

    func open(_ record: RingRecord, _ ends: RelayedEnds) -> Bool { ring.open(record, ends) }

    func close(_ record: RingRecord, _ client: UInt64, _ server: UInt64) -> Bool {
        ring.close(record, clientBytes: client, serverBytes: server)
    }
}

private struct Seen: Equatable {
    var kind: RingRecordKind
    var side: Direction
    var slot: UInt32
    var position: UInt64
    var bytes: [UInt8]
}

@Suite("The relay's ring")
struct RingTests {
    private func pair(_ capacity: Int = 256 << 10) throws -> (Box, RingReader) {
        let box = Box(try RingWriter(capacity: capacity))
        return (box, try RingReader(descriptors: box.ring.descriptors.map { dup($0) }))
    }

    private func record(_ slot: UInt32 = 0, _ position: UInt64 = 0, _ side: Direction = .client) -> RingRecord {
        var record = RingRecord()
        (record.slot, record.serial, record.position, record.side) = (slot, 7, position, side)
        return record
    }

    private func put(_ box: Box, _ record: RingRecord, _ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes { unsafe box.ring.put(record, $0) }
    }

    private func drain(_ reader: RingReader, _ limit: Int = .max) -> [Seen] {
        var seen: [Seen] = []
        _ = reader.drain(limit) { record, bytes in
            seen.append(
                Seen(
                    kind: record.kind,
                    side: record.side,
                    slot: record.slot,
                    position: record.position,
                    bytes: (0..<bytes.byteCount).map { bytes.byte(at: $0) }
                )
            )
        }
        return seen
    }

    @Test("what is put comes out in order, whatever its size, many times around the ring")
    func order() throws {
        let (box, reader) = try pair()
        var numbers = SystemRandomNumberGenerator()
        var position: UInt64 = 0
        for _ in 0..<200 {
            var wanted: [Seen] = []
            for _ in 0..<Int.random(in: 1...4, using: &numbers) {
                let bytes = (0..<Int.random(in: 1...20_000, using: &numbers)).map {
                    UInt8(truncatingIfNeeded: $0 &* 31)
                }
                let side: Direction = Bool.random(using: &numbers) ? .client : .server
                #expect(put(box, record(3, position, side), bytes))
                wanted.append(Seen(kind: .bytes, side: side, slot: 3, position: position, bytes: bytes))
                position += UInt64(bytes.count)
            }
            #expect(drain(reader) == wanted)
        }
    }

    @Test("a full ring refuses, loses nothing that it took, and has room again once it was read")
    func full() throws {
        let (box, reader) = try pair()
        let bytes = [UInt8](repeating: 1, count: 10_000)
        var taken = 0
        while put(box, record(0, UInt64(taken)), bytes) { taken += 1 }
        #expect(taken > 10 && taken < 27)
        // What keeps the order of things has room of its own.
        #expect(box.close(record(), 5, 6))
        box.ring.drop(10_000)
        #expect(reader.dropped == (10_000, 1))
        let seen = drain(reader)
        #expect(seen.dropLast().map(\.position) == (0..<UInt64(taken)).map { $0 })
        #expect(seen.count == taken + 1)
        #expect(put(box, record(), bytes))
    }

    @Test("a ring that is read in time is begun anew, and a reader in the middle of it sees that at its end only")
    func rewinding() throws {
        let (box, reader) = try pair(1 << 20)
        let bytes = [UInt8](repeating: 1, count: 50_000)
        var position: UInt64 = 0
        var origins: Set<UInt64> = []
        for turn in 0..<200 {
            for _ in 0..<(turn % 3 + 1) {
                #expect(put(box, record(0, position), bytes.map { $0 &+ UInt8(truncatingIfNeeded: position) }))
                position += 1
            }
            // Every fifth time something is left, so it cannot begin anew.
            let seen = drain(reader, turn % 5 == 4 ? 1 : .max)
            for one in seen { #expect(one.bytes.allSatisfy { $0 == 1 &+ UInt8(truncatingIfNeeded: one.position) }) }
            let file = try SharedFile.adopt(dup(box.ring.descriptors[0]), isWritable: false)
            origins.insert(file.word(RingLayout.originOffset).load())
        }
        let rest = drain(reader)
        #expect(!reader.isBroken && (rest.last.map { $0.position == position - 1 } ?? true))
        #expect(origins.count > 20)
    }

    @Test("two threads at both ends: all comes across, begun anew or not")
    func threads() throws {
        let (box, reader) = try pair()
        let total = 20_000
        let writing = Thread {
            var position: UInt64 = 0
            while position < UInt64(total) {
                let size = Int(position &* 7919 % 3000)
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: position), count: size + 1)
                if put(box, record(1, position), bytes) { position += 1 } else { usleep(20) }
            }
        }
        writing.start()
        var next: UInt64 = 0
        let deadline = Date().addingTimeInterval(60)
        while next < UInt64(total), !reader.isBroken, Date() < deadline {
            let count = reader.drain(64) { record, bytes in
                let isRight =
                    record.position == next && bytes.byteCount == Int(next &* 7919 % 3000) + 1
                    && bytes.byte(at: bytes.byteCount - 1) == UInt8(truncatingIfNeeded: next)
                if !isRight { Issue.record("record \(next) is not what was put") }
                next += 1
            }
            if count == 0 { usleep(50) }
        }
        #expect(next == UInt64(total) && !reader.isBroken)
    }

    @Test("the ends of a connection come across")
    func ends() throws {
        let (box, reader) = try pair()
        var ends = RelayedEnds(
            client: Endpoint(high: 1, low: 2, port: 3),
            via: Endpoint(ipv4: 0x7F00_0001, port: 50_000),
            server: Endpoint(high: .max, low: .max, port: .max)
        )
        (ends.clientBytes, ends.serverBytes) = (1 << 40, 9)
        var opened = record()
        opened.kind = .opened
        #expect(box.open(opened, ends))
        var closed = record()
        closed.kind = .closed
        #expect(box.close(closed, 11, 12))
        var found: RelayedEnds?
        var totals: [UInt64] = []
        _ = reader.drain(10) { record, bytes in
            if record.kind == .opened { found = RingReader.ends(bytes) }
            if record.kind == .closed, let both = RingReader.totals(bytes) { totals = [both.client, both.server] }
        }
        #expect(found == ends)
        #expect(totals == [11, 12])
    }

    @Test("the relay rings for a sleeping reader once the ring fills, and not before")
    func bell() throws {
        let (box, reader) = try pair()
        reader.sleep()
        #expect(put(box, record(), [1, 2, 3]))
        #expect(!isReadable(reader.descriptor))
        while put(box, record(), [UInt8](repeating: 0, count: 4000)) {}
        #expect(isReadable(reader.descriptor))
        reader.wake()
        #expect(!isReadable(reader.descriptor))
    }

    private func isReadable(_ descriptor: Int32) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&waiting, 1, 0) == 1
    }

    @Test("a daemon cannot write into what the relay forwards, nor cut it off")
    func seals() throws {
        let (box, _) = try pair()
        let data = box.ring.descriptors[0]
        #expect(ftruncate(data, 4096) != 0)
        let mapping = unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, data, 0)
        #expect(unsafe mapping == MAP_FAILED)
        #expect(unsafe write(data, "x", 1) != 1)
    }

    @Test("a daemon that writes nonsense only loses its copies", arguments: [UInt64.max, 1 << 40, 3])
    func nonsense(_ tail: UInt64) throws {
        let (box, _) = try pair()
        #expect(put(box, record(), [UInt8](repeating: 0, count: 1000)))
        let reader = try SharedFile.adopt(dup(box.ring.descriptors[1]), isWritable: true)
        reader.word(RingLayout.tailOffset).store(tail)
        var count = 0
        while count < 100, put(box, record(), [UInt8](repeating: 0, count: 60_000)) { count += 1 }
        #expect(count < 100)
        #expect(box.ring.unread <= 256 << 10)
    }

    @Test("a reader believes nothing: any words in the ring end the reading, not the process")
    func foreign() throws {
        var numbers = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let file = try SharedFile.create(size: RingLayout.page + (256 << 10))
            let own = try SharedFile.create(size: RingLayout.page)
            file.word(RingLayout.magicOffset).store(RingLayout.magic)
            file.word(RingLayout.capacityOffset).store(256 << 10)
            for place in 0..<64 {
                let word =
                    Bool.random(using: &numbers) ? UInt64.random(in: 0...300, using: &numbers) : .random(in: 0...(.max))
                file.word(RingLayout.page + 8 * place).store(word)
            }
            file.word(RingLayout.headOffset).store(
                Bool.random(using: &numbers) ? .random(in: 0...(300 << 10), using: &numbers) : .random(in: 0...(.max))
            )
            let reader = try RingReader(descriptors: [dup(file.descriptor), dup(own.descriptor), eventfd()])
            var total = 0
            for _ in 0..<4 { _ = reader.drain(1000) { _, bytes in total += bytes.byteCount } }
            #expect(total <= 1024 << 10)
        }
    }

    private func eventfd() -> Int32 {
        var ends: [Int32] = [-1, -1]
        _ = unsafe pipe(&ends)
        close(ends[1])
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return ends[0]
    }

    @Test("what is no ring is refused")
    func noRing() throws {
        #expect(throws: RingError.self) { try RingReader(descriptors: [dup(0)]) }
        let file = try SharedFile.create(size: RingLayout.page + (256 << 10))
        let own = try SharedFile.create(size: RingLayout.page)
        #expect(throws: RingError.self) {
            try RingReader(descriptors: [dup(file.descriptor), dup(own.descriptor), dup(0)])
        }
        #expect(throws: RingError.self) {
            try RingReader(descriptors: [dup(0), dup(own.descriptor), dup(0)])
        }
    }
}

@Suite("The socket between relay and daemon")
struct RelayChannelTests {
    @Test("messages come across whole, with their descriptors")
    func descriptors() throws {
        let path = "/tmp/pgweir-channel-\(getpid())"
        let listener = try #require(RelayChannel.listen(at: path))
        defer {
            close(listener)
            unsafe unlink(path)
        }
        let client = try #require(RelayChannel.connect(to: path))
        let server = RelayChannel(descriptor: accept(listener, nil, nil))
        var ends: [Int32] = [-1, -1]
        _ = unsafe pipe(&ends)
        #expect(server.send("rings 1", [ends[1], ends[0], ends[1]]))
        #expect(server.send("handover"))
        let first = try #require(client.receive())
        let descriptors = first.takeDescriptors()
        #expect(first.text == "rings 1" && descriptors.count == 3 && first.descriptors.isEmpty)
        #expect(unsafe write(descriptors[0], "x", 1) == 1)
        var byte: UInt8 = 0
        #expect(unsafe read(ends[0], &byte, 1) == 1 && byte == 0x78)
        let second = try #require(client.receive())
        #expect(second.text == "handover" && second.descriptors.isEmpty)
        #expect(!client.isOver)
        for descriptor in descriptors + ends { close(descriptor) }
    }

    @Test("whoever listens anew takes the place of who listened there, and nobody else may connect")
    func place() throws {
        let path = "/tmp/pgweir-place-\(getpid())"
        let old = try #require(RelayChannel.listen(at: path))
        let new = try #require(RelayChannel.listen(at: path))
        defer {
            for descriptor in [old, new] { close(descriptor) }
            unsafe unlink(path)
        }
        let client = try #require(RelayChannel.connect(to: path))
        let (fresh, stale) = (accept(new, nil, nil), accept(old, nil, nil))
        #expect(fresh >= 0 && stale < 0)
        _ = client
        var status = stat()
        #expect(unsafe stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(RelayChannel.connect(to: path + ".none") == nil)
        #expect(RelayChannel.listen(at: "/tmp/" + String(repeating: "x", count: 200)) == nil)
    }

    /// How many descriptors of this process are open, after `body` has run many times, beyond those before: others may open some
    /// meanwhile, but not as many.
    private func leftOpen(_ body: () -> Void) -> Bool {
        func count() -> Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0 }
        let before = count()
        for _ in 0..<400 { body() }
        return count() - before > 200
    }

    @Test("a path that is too long for a socket leaves none open")
    func longPath() {
        // The second is too long once the passing name is added to it.
        for length in [200, 102] {
            let path = "/tmp/" + String(repeating: "x", count: length)
            #expect(RelayChannel.listen(at: path) == nil)
            let isLeft = leftOpen {
                _ = RelayChannel.connect(to: path)
                _ = RelayChannel.listen(at: path)
            }
            #expect(!isLeft, "\(length) bytes")
        }
    }

    @Test("descriptors that nobody takes are closed, also those of a message without a byte")
    func untaken() throws {
        for text in ["unknown", ""] {
            let isLeft = leftOpen {
                var pair: [Int32] = [-1, -1]
                guard unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &pair) == 0 else { return }
                let (one, other) = (RelayChannel(descriptor: pair[0]), RelayChannel(descriptor: pair[1]))
                #expect(one.send(text, [0, 0, 0]))
                #expect(other.receive()?.text == (text.isEmpty ? nil : text))
            }
            #expect(!isLeft, "'\(text)'")
        }
    }

    @Test("a ring that is refused leaves no descriptor open")
    func refusedRing() {
        for count in 1...4 {
            let isLeft = leftOpen {
                let descriptors = (0..<count).map { _ in dup(0) }
                #expect(throws: RingError.self) { try RingReader(descriptors: descriptors) }
            }
            #expect(!isLeft, "\(count)")
        }
    }
}
