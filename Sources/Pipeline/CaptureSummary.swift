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
    /// Packets of long responses that a live capture cut under overload, and the bytes cut off.
    public var shortenedPackets: UInt64 = 0, shortenedBytes: UInt64 = 0
    /// IP fragments.
    public var fragments: UInt64 = 0
    /// Files that end inside a record, and files that are damaged.
    public var cutFiles: UInt64 = 0, damagedFiles: UInt64 = 0
    /// Packets that a live capture lost: in the kernel's ring, and in the interface or its driver.
    public var kernelDropped: UInt64 = 0, interfaceDropped: UInt64 = 0
    /// What a relay forwarded without a copy, because its ring was full: bytes, and the records that they would have been.
    public var relayDroppedBytes: UInt64 = 0, relayDroppedRecords: UInt64 = 0
    /// Segments of a live capture that were left out, whole flows at a time, because packets outran the worker.
    public var shedSegments: UInt64 = 0
    /// How often the clock of a live capture was set: more than a second back, or an hour ahead of a steady clock.
    public var clockSteps: UInt64 = 0
    /// Where packets went that are none of the ports named.
    public var otherPorts = PortCensus()
    private var ignored: [10 of UInt64] = .init(repeating: 0)

    /// Packets that gave no segment, by reason; reasons that did not occur are left out.
    public var ignoredByReason: [(reason: IgnoredReason, count: UInt64)] {
        IgnoredReason.allCases.map { ($0, ignored[Int($0.rawValue)]) }.filter { $0.count > 0 }
    }

    mutating func ignore(_ reason: IgnoredReason) { ignored[Int(reason.rawValue)] &+= 1 }

    @inline(__always)
    mutating func note(_ record: borrowing CaptureRecord, isShortening: Bool = false) {
        if record.captured < record.length { note(cut: record.length &- record.captured, isShortening) }
        note(count: record.captured, at: record.time)
    }

    private mutating func note(cut bytes: Int, _ isShortening: Bool) {
        guard isShortening else {
            truncatedPackets &+= 1
            return
        }
        shortenedPackets &+= 1
        shortenedBytes &+= UInt64(truncatingIfNeeded: bytes)
    }

    @inline(__always)
    mutating func note(count: Int, at time: Timestamp) {
        packets &+= 1
        bytes &+= UInt64(truncatingIfNeeded: count)
        if packets == 1 {
            first = time
            last = time
        } else {
            if time < first { first = time }
            if time > last { last = time }
        }
    }

    /// Adds what another worker's taps held.
    mutating func add(_ other: CaptureSummary) {
        guard other.packets > 0 || other.kernelDropped > 0 || other.relayDroppedRecords > 0 else { return }
        first = packets == 0 ? other.first : min(first, other.first)
        last = packets == 0 ? other.last : max(last, other.last)
        packets &+= other.packets
        bytes &+= other.bytes
        truncatedPackets &+= other.truncatedPackets
        shortenedPackets &+= other.shortenedPackets
        shortenedBytes &+= other.shortenedBytes
        fragments &+= other.fragments
        kernelDropped &+= other.kernelDropped
        interfaceDropped &+= other.interfaceDropped
        relayDroppedBytes &+= other.relayDroppedBytes
        relayDroppedRecords &+= other.relayDroppedRecords
        shedSegments &+= other.shedSegments
        clockSteps &+= other.clockSteps
        otherPorts.add(other.otherPorts)
        for index in ignored.indices { ignored[index] &+= other.ignored[index] }
    }

    mutating func note(_ defect: CaptureDefect?) {
        switch defect {
        case .cut: cutFiles += 1
        case .damaged: damagedFiles += 1
        case nil: break
        }
    }
}
