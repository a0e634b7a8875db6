// SPDX-License-Identifier: Apache-2.0
import Capture
public import Domain
public import Packets

/// What a capture held, packet by packet.
public struct CaptureSummary: Sendable {
    /// Packets read, and the bytes captured of them.
    public var packets: UInt64 = 0, bytes: UInt64 = 0
    /// The times of the earliest and the latest packet.
    public var first = Timestamp.epoch, last = Timestamp.epoch
    /// Packets of which the snap length cut bytes.
    public var truncatedPackets: UInt64 = 0
    /// IP fragments.
    public var fragments: UInt64 = 0
    /// Files that end inside a record, and files that are damaged.
    public var cutFiles: UInt64 = 0, damagedFiles: UInt64 = 0
    private var ignored: [9 of UInt64] = .init(repeating: 0)

    /// Packets that gave no segment, by reason; reasons that did not occur are left out.
    public var ignoredByReason: [(reason: IgnoredReason, count: UInt64)] {
        IgnoredReason.allCases.map { ($0, ignored[Int($0.rawValue)]) }.filter { $0.count > 0 }
    }

    mutating func ignore(_ reason: IgnoredReason) { ignored[Int(reason.rawValue)] &+= 1 }

    @inline(__always)
    mutating func note(_ record: borrowing CaptureRecord) {
        packets &+= 1
        bytes &+= UInt64(record.captured)
        if record.captured < record.length { truncatedPackets &+= 1 }
        if packets == 1 {
            first = record.time
            last = record.time
        } else {
            if record.time < first { first = record.time }
            if record.time > last { last = record.time }
        }
    }

    mutating func note(_ defect: CaptureDefect?) {
        switch defect {
        case .cut: cutFiles += 1
        case .damaged: damagedFiles += 1
        case nil: break
        }
    }
}
