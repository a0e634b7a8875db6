// SPDX-License-Identifier: Apache-2.0

/// The first packet of a client, as far as the relay must know it (PostgreSQL documentation, "Message Flow").
enum Greeting: Equatable {
    /// More bytes are needed.
    case unfinished
    /// SSLRequest: 8 bytes that one byte answers.
    case tlsRequest
    /// GSSENCRequest: the same.
    case gssRequest
    /// CancelRequest.
    case cancel
    /// A TLS record: TLS without a request before it.
    case directTLS
    /// A StartupMessage, or nothing that PostgreSQL knows.
    case other

    /// An SSLRequest.
    static let tlsRequestBytes: [UInt8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F]

    init(_ bytes: [UInt8]) {
        guard let first = bytes.first else {
            self = .unfinished
            return
        }
        // A packet that begins so would be 350 MB long.
        if first == 0x16 {
            self = .directTLS
            return
        }
        guard bytes.count >= 8 else {
            self = .unfinished
            return
        }
        let words = [0, 4].map { start in bytes[start..<start + 4].reduce(UInt32(0)) { $0 &<< 8 | UInt32($1) } }
        switch (words[0], words[1]) {
        case (8, 80_877_103): self = .tlsRequest
        case (8, 80_877_104): self = .gssRequest
        case (16..., 80_877_102): self = .cancel
        default: self = .other
        }
    }
}
