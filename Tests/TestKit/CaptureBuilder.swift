// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Writes a capture of one connection, turn by turn, for tests from the file to the report.
public struct CaptureBuilder {
    private var bytes: [UInt8]
    private var sequences: [UInt32] = [1000, 5000]
    private var milliseconds: UInt32 = 0

    /// A capture that begins with the connection's handshake.
    public init() {
        // pcap in network byte order, microseconds, Ethernet (draft-ietf-opsawg-pcap).
        bytes = Frames.big(UInt32(0xA1B2_C3D4)) + [0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1]
        add(0, flags: 0x02, [])
        sequences[0] += 1
        add(1, flags: 0x12, [])
        sequences[1] += 1
    }

    /// What the client sends next.
    public mutating func client(_ payload: [UInt8]) { add(0, flags: 0x18, payload) }
    /// What the server sends next.
    public mutating func server(_ payload: [UInt8]) { add(1, flags: 0x18, payload) }

    /// Writes the capture to a file that the caller removes; returns its path.
    public func write() throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString + ".pcap")
        try Data(bytes).write(to: path)
        return path.path
    }

    private mutating func add(_ side: Int, flags: UInt8, _ payload: [UInt8]) {
        let ends: [(UInt32, UInt16)] = [(0x0A00_0001, 40_000), (0x0A00_0002, 5432)]
        let frame = Frames.ethernet(
            Frames.ipv4(
                from: ends[side],
                to: ends[1 - side],
                sequence: sequences[side],
                acknowledgment: sequences[1 - side],
                flags: flags,
                payload: payload
            )
        )
        sequences[side] += UInt32(payload.count)
        milliseconds += 1
        let length = Frames.big(UInt32(frame.count))
        bytes += Frames.big(1_000_000 + milliseconds / 1000) + Frames.big(milliseconds % 1000 * 1000)
        bytes += length + length + frame
    }
}
