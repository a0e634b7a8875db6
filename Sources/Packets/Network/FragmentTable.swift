// SPDX-License-Identifier: Apache-2.0
import Domain

/// IP fragments on their way to becoming datagrams again (RFC 791 §3.2, RFC 8200 §4.5).
///
/// Bounded: at most 64 datagrams at once; the oldest goes when a new one needs its place, and none is kept longer
/// than 30 s of packet time. Where fragments overlap, the bytes that came first stay.
struct FragmentTable: ~Copyable {
    struct Key: Equatable, BitwiseCopyable {
        var source: (UInt64, UInt64)
        var destination: (UInt64, UInt64)
        var identity: UInt32
        var next: UInt8

        static func == (left: Key, right: Key) -> Bool {
            left.source == right.source && left.destination == right.destination && left.identity == right.identity
                && left.next == right.next
        }
    }

    private struct Partial {
        var key: Key
        var began: Timestamp
        /// The whole length, known once the last fragment was seen.
        var length: Int?
        /// Byte ranges still missing, in order.
        var missing: [Range<Int>]
        var bytes: [UInt8]

        mutating func fill(with payload: RawSpan, _ range: Range<Int>) {
            if bytes.count < range.upperBound {
                bytes.append(contentsOf: repeatElement(0, count: range.upperBound - bytes.count))
            }
            var left: [Range<Int>] = []
            for hole in missing {
                let new = hole.clamped(to: range)
                if new.isEmpty {
                    left.append(hole)
                    continue
                }
                for place in new { bytes[place] = payload.byte(at: place - range.lowerBound) }
                if hole.lowerBound < new.lowerBound { left.append(hole.lowerBound..<new.lowerBound) }
                if new.upperBound < hole.upperBound { left.append(new.upperBound..<hole.upperBound) }
            }
            missing = left
        }
    }

    private static let mostDatagrams = 64
    private static let longestWait: Int64 = 30_000_000_000

    private var partials: [Partial] = []
    private var whole: [UInt8] = []
    private(set) var seen: UInt64 = 0
    private(set) var abandoned: UInt64 = 0

    /// The datagram completed last.
    var datagram: RawSpan {
        @_lifetime(borrow self)
        get { whole.rawSpan }
    }

    /// Adds a fragment; true when it completed its datagram, which is then in ``datagram``.
    mutating func add(_ payload: RawSpan, key: Key, place: Int, isLast: Bool, at time: Timestamp) -> Bool {
        seen &+= 1
        let range = place..<place + payload.byteCount
        guard range.upperBound <= 65_535, !range.isEmpty else { return false }
        let index = partial(for: key, at: time)
        if isLast { partials[index].length = range.upperBound }
        partials[index].fill(with: payload, range)
        guard let length = partials[index].length else { return false }
        guard partials[index].missing.allSatisfy({ $0.lowerBound >= length }) else { return false }
        whole = Array(partials[index].bytes.prefix(length))
        partials.remove(at: index)
        return true
    }

    private mutating func partial(for key: Key, at time: Timestamp) -> Int {
        let before = partials.count
        partials.removeAll { time.nanoseconds(since: $0.began) > Self.longestWait }
        abandoned &+= UInt64(before - partials.count)
        if let index = partials.firstIndex(where: { $0.key == key }) { return index }
        if partials.count >= Self.mostDatagrams {
            partials.removeFirst()
            abandoned &+= 1
        }
        partials.append(Partial(key: key, began: time, length: nil, missing: [0..<65_536], bytes: []))
        return partials.count - 1
    }
}

extension PacketDecoder {
    /// A fragment at byte `place` of its datagram; decodes the datagram when it is complete.
    mutating func fragmented(
        _ frame: RawSpan,
        _ datagram: Datagram,
        _ identity: UInt32,
        _ place: Int,
        _ isLast: Bool,
        _ depth: Int,
        _ segment: inout Segment
    ) -> IgnoredReason? {
        // A fragment that the snap length cut can complete nothing.
        guard datagram.end <= frame.byteCount, datagram.offset <= datagram.end, !isReassembled else { return .fragment }
        // Of others they would only take the room of those that are looked into.
        guard datagram.next == IPProtocol.tcp || isNamed(datagram) else { return .fragment }
        let key = FragmentTable.Key(
            source: (datagram.sourceHigh, datagram.sourceLow),
            destination: (datagram.destinationHigh, datagram.destinationLow),
            identity: identity,
            next: datagram.next
        )
        let payload = frame.extracting(datagram.offset..<datagram.end)
        guard fragments.add(payload, key: key, place: place, isLast: isLast, at: segment.time) else { return .fragment }
        isReassembled = true
        var inner = datagram
        inner.offset = 0
        let bytes = fragments.takeDatagram()
        defer { fragments.putBack(bytes) }
        inner.end = bytes.count
        return transport(bytes.rawSpan, inner, depth: depth, &segment)
    }
}

extension FragmentTable {
    /// Lends the completed datagram out, so that decoding it may use this table.
    mutating func takeDatagram() -> [UInt8] {
        let bytes = whole
        whole = []
        return bytes
    }

    mutating func putBack(_ bytes: [UInt8]) { whole = bytes }
}
