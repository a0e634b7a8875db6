// SPDX-License-Identifier: Apache-2.0
import Capture
import Domain
import FoundationEssentials
import TestKit
import Testing

struct CaptureTests {
    /// Every record of a file, and what is wrong with it.
    static func read(
        _ path: String
    ) throws -> (records: [(time: Int64, bytes: [UInt8], length: Int)], defect: CaptureDefect?) {
        var file = try CaptureFile.open(path: path)
        let chunk = Chunk()
        var records: [(time: Int64, bytes: [UInt8], length: Int)] = []
        while try file.fill(chunk) {
            var record = CaptureRecord()
            let bytes = chunk.bytes
            while file.next(&record, in: bytes) {
                let span = bytes.extracting(record.offset..<record.offset + record.captured)
                records.append((record.time.nanoseconds, (0..<span.byteCount).map { span.byte(at: $0) }, record.length))
            }
        }
        return (records, file.defect)
    }

    static func temporary(_ bytes: [UInt8]) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/pgweir-test-\(UInt64.random(in: 0 ... .max)).pcap"
        try Data(bytes).write(to: URL(filePath: path))
        return path
    }

    static func pcap(
        isBig: Bool,
        isNano: Bool,
        _ packets: [(seconds: UInt32, fraction: UInt32, bytes: [UInt8])]
    ) -> [UInt8] {
        let number = { (value: UInt32) in isBig ? Frames.big(value) : Frames.big(value).reversed() }
        var file = number(isNano ? 0xA1B2_3C4D : 0xA1B2_C3D4) + number(isBig ? 0x0002_0004 : 0x0004_0002)
        file += number(0) + number(0) + number(65_535) + number(1)
        for packet in packets {
            file += number(packet.seconds) + number(packet.fraction)
            file += number(UInt32(packet.bytes.count)) + number(UInt32(packet.bytes.count + 1)) + packet.bytes
        }
        return file
    }

    @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
    func `reads either byte order, micro- and nanoseconds`(_ isBig: Bool, _ isNano: Bool) throws {
        let path = try Self.temporary(Self.pcap(isBig: isBig, isNano: isNano, [(5, 7, [1, 2, 3]), (6, 8, [4])]))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (records, defect) = try Self.read(path)
        #expect(records.map(\.bytes) == [[1, 2, 3], [4]])
        #expect(records.map(\.length) == [4, 2])
        #expect(records[0].time == 5_000_000_000 + (isNano ? 7 : 7000))
        #expect(defect == nil)
    }

    @Test func `records larger than a chunk and records across chunks are whole`() throws {
        let packets = (0..<30).map { number in
            (
                seconds: UInt32(number), fraction: UInt32(0),
                bytes: [UInt8](repeating: UInt8(number), count: number * 30_000)
            )
        }
        let path = try Self.temporary(Self.pcap(isBig: false, isNano: false, packets))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (records, defect) = try Self.read(path)
        #expect(records.map(\.bytes) == packets.map(\.bytes))
        #expect(defect == nil)
    }

    @Test func `a file cut anywhere gives the records before the cut and says so`() throws {
        let file = Self.pcap(isBig: false, isNano: false, [(1, 0, [1, 2, 3]), (2, 0, [4, 5, 6])])
        for count in 24..<file.count {
            let path = try Self.temporary(Array(file.prefix(count)))
            let (records, defect) = try Self.read(path)
            try? FileManager.default.removeItem(atPath: path)
            #expect(records.count == (count >= 43 ? 1 : 0))
            #expect(defect == (count == 24 || count == 43 ? nil : .cut), "\(count)")
        }
    }

    @Test func `a record of two gigabytes is damage, not memory`() throws {
        var file = Self.pcap(isBig: false, isNano: false, [(1, 0, [1])])
        file += [1, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0]
        let path = try Self.temporary(file)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (records, defect) = try Self.read(path)
        #expect(records.count == 1)
        #expect(defect == .damaged)
    }

    @Test func `what is no capture is refused with its name`() throws {
        let path = try Self.temporary(Array("GIF89a, certainly not a capture file".utf8))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: CaptureError.notACapture(path: path)) { _ = try Self.read(path) }
        #expect(throws: CaptureError.cannotOpen(path: "/nonexistent", errno: 2)) { _ = try Self.read("/nonexistent") }
    }

    @Test func `filters are compiled by libpcap and mistakes are told`() throws {
        var filter = try PacketFilter("tcp port 5432")
        let yes = Frames.ethernet(Frames.ipv4(from: (1, 9), to: (2, 5432)))
        let no = Frames.ethernet(Frames.ipv4(from: (1, 9), to: (2, 5433)))
        #expect(try filter.accepts(yes.rawSpan, length: yes.count, linkType: 1))
        #expect(try !filter.accepts(no.rawSpan, length: no.count, linkType: 1))
        #expect(throws: CaptureError.self) { _ = try PacketFilter("tcp prt 5432") }
    }
}
