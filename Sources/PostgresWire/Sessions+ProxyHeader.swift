// SPDX-License-Identifier: Apache-2.0
import Domain

/// The header that load balancers put in front of a connection: "The PROXY protocol, versions 1 & 2" (HAProxy, 2020).
enum ProxyHeader {
    /// A header of version 1 is no longer, its line end included.
    static var longestLine: UInt32 { 107 }
    /// More bytes of addresses and other fields are no header of version 2 that anybody sends.
    static var longestFields: UInt32 { 4096 }

    /// How much is wanted first of a header that begins with this byte: version 1 is read up to its line's end.
    static func fixedPart(_ first: UInt8) -> UInt32 { first == 0x50 ? 6 : 16 }

    private static func matches(_ bytes: RawSpan, _ text: StaticString, _ count: Int) -> Bool {
        (0..<min(count, text.utf8CodeUnitCount)).allSatisfy { unsafe bytes.byte(at: $0) == text.utf8Start[$0] }
    }

    private static var lineStart: StaticString { "PROXY " }
    private static var signature: StaticString { "\r\n\r\n\0\r\nQUIT\n" }

    /// Whether `bytes` begin with a header of either version.
    static func begins(_ bytes: RawSpan) -> Bool {
        (bytes.byteCount >= 6 && matches(bytes, lineStart, 6))
            || (bytes.byteCount >= 16 && matches(bytes, signature, 12))
    }

    /// How many bytes a header has, of which these are the first.
    ///
    /// One more than there are: not known yet. `nil`: it is no header.
    static func length(_ bytes: RawSpan) -> UInt32? {
        guard bytes.byteCount > 0, begins(bytes) else { return nil }
        let count = UInt32(truncatingIfNeeded: bytes.byteCount)
        if bytes.byte(at: 0) == 0x50 {
            if bytes.byte(at: bytes.byteCount &- 1) == 0x0A { return count }
            return count < longestLine ? count &+ 1 : nil
        }
        let fields = UInt32(bytes.bigEndian16(at: 14))
        guard bytes.byte(at: 12) &>> 4 == 2, fields <= longestFields else { return nil }
        return 16 &+ fields
    }

    /// The client that a whole header names; `nil`: it names none, or not by TCP.
    static func client(_ bytes: RawSpan) -> Endpoint? {
        if bytes.byte(at: 0) == 0x50 { return clientOfLine(bytes) }
        guard bytes.byte(at: 12) & 0x0F == 1 else { return nil }
        switch bytes.byte(at: 13) {
        case 0x11 where bytes.byteCount >= 28:
            return Endpoint(ipv4: bytes.bigEndian32(at: 16), port: bytes.bigEndian16(at: 24))
        case 0x21 where bytes.byteCount >= 52:
            let port = bytes.bigEndian16(at: 48)
            return Endpoint(high: bytes.bigEndian64(at: 16), low: bytes.bigEndian64(at: 24), port: port)
        default: return nil
        }
    }

    /// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 5432`, and the same with TCP6.
    private static func clientOfLine(_ bytes: RawSpan) -> Endpoint? {
        let text = String(decoding: (0..<bytes.byteCount).map { bytes.byte(at: $0) }, as: UTF8.self)
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\r\n" })
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6", let port = UInt16(words[4]) else {
            return nil
        }
        return Endpoint(address: String(words[2]), port: port)
    }
}

extension Sessions {
    /// Takes up bytes of a PROXY header; returns how many, `nil` if it is none.
    mutating func proxyHeader(
        _ session: Slot<Session>,
        _ bytes: RawSpan,
        _ offset: Int,
        _ sink: inout some SessionSink & ~Copyable
    ) -> Int? {
        let reader = reader(session, .client)
        let used = keep(reader, bytes, offset)
        guard reader.value.filled == reader.value.wanted else { return used > 0 ? used : nil }
        let block = reader.value.block
        let header = block.bytes(0..<Int(reader.value.filled))
        guard let length = ProxyHeader.length(header) else { return nil }
        guard length == reader.value.filled else {
            reader.value.wanted = length
            return used
        }
        if let client = ProxyHeader.client(header) { sink.proxied(session.handle, client) }
        pool.give(block)
        reader.value = MessageReader()
        session.value.flags.insert(.proxied)
        return used
    }
}
