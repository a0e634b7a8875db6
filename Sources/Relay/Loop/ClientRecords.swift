// SPDX-License-Identifier: Apache-2.0

/// A client's TLS records by their headers (RFC 8446 §5.1): how far the handshake is, and whether a cancel request follows.
///
/// Their content is not ours to read. A CancelRequest has 16 bytes, or 44 with the longer keys of PostgreSQL 18, and logins
/// of drivers are longer.
struct ClientRecords: BitwiseCopyable {
    enum Verdict: Equatable {
        /// It belongs to the handshake, or ends the connection.
        case handshake
        /// It is as short as a CancelRequest.
        case cancel
        /// It is longer, or not the first.
        case other
        /// It is no TLS record.
        case unknown
    }

    /// Bytes of the record that are still to pass.
    var remaining: UInt16 = 0
    private var hasChanged = false
    /// Whether the last message of the handshake passed, of TLS 1.2 or 1.3.
    private var isFinished12 = false, isFinished13 = false
    private(set) var hasCancelled = false

    static let headerSize = 5

    /// Looks at a record's header: how many bytes the record has with it, and what it is.
    mutating func take(_ header: [UInt8]) -> (count: Int, verdict: Verdict) {
        guard header.count >= Self.headerSize, header[1] == 3, (20...23).contains(header[0]) else {
            return (0, .unknown)
        }
        let length = Int(header[3]) << 8 | Int(header[4])
        // RFC 8446 §5.2.
        guard length > 0, length <= 16_384 + 256 else { return (0, .unknown) }
        return (length + Self.headerSize, verdict(kind: header[0], length: length))
    }

    private mutating func verdict(kind: UInt8, length: Int) -> Verdict {
        switch kind {
        case 20:
            hasChanged = true
            return .handshake
        case 21: return .handshake
        case 22:
            // TLS 1.2: its Finished is the one behind the change of the cipher.
            isFinished12 = isFinished12 || hasChanged
            return .handshake
        default: break
        }
        // TLS 1.3 sends all but the first messages as it sends data: an alert of 2 bytes, a Finished of 36 or 52, 17 more
        // each, and a certificate before that.
        if length == 19 { return .handshake }
        if !isFinished13, length == 53 || length == 69 {
            isFinished13 = true
            return .handshake
        }
        guard isFinished12 || isFinished13 else { return .handshake }
        guard !hasCancelled, length <= (isFinished13 ? 64 : 96) else { return .other }
        hasCancelled = true
        return .cancel
    }
}
