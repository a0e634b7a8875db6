// SPDX-License-Identifier: Apache-2.0

/// Leaves SCRAM-SHA-256-PLUS out of what a server offers (PostgreSQL documentation, "SASL Authentication").
///
/// That mechanism binds the login to the server's TLS, of which the relay is the other end: no client could use it, and
/// libpq gives up on a plain connection where it is offered. The filter looks at a server's messages up to the first about
/// authentication, and passes on unchanged what it does not understand.
struct MechanismFilter: Sendable {
    /// Whether all that follows passes as it is.
    private(set) var isOver = false
    /// Whether the mechanism was offered, and left out.
    private(set) var hasRemoved = false
    /// The beginning of a message whose end is not here yet.
    private var held: [UInt8] = []
    /// What is still to come of a message that passes.
    private var passing = 0

    private static let removed = Array("SCRAM-SHA-256-PLUS".utf8)
    /// An AuthenticationSASL of PostgreSQL has 42 bytes.
    static let longestOffer = 1024

    /// The bytes that go on now, for those that came.
    mutating func pass(_ bytes: [UInt8]) -> [UInt8] {
        guard !isOver else { return bytes }
        let all = held + bytes
        held = []
        var result: [UInt8] = []
        var start = 0
        while start < all.count, !isOver {
            if passing > 0 {
                let count = min(passing, all.count - start)
                result += all[start..<start + count]
                (passing, start) = (passing - count, start + count)
                continue
            }
            guard let message = Message(all[start...]) else {
                held = Array(all[start...])
                return result
            }
            switch message {
            case .passing(let count): passing = count
            case .offer(let count):
                guard all.count - start >= count else {
                    held = Array(all[start...])
                    return result
                }
                result += without(all[start..<start + count])
                start += count
                isOver = true
            case .last: isOver = true
            }
        }
        return result + all[start...]
    }

    /// Nothing more comes: what was held goes on.
    mutating func end() -> [UInt8] {
        isOver = true
        defer { held = [] }
        return held
    }

    /// What a message's first bytes tell; `nil`: more bytes are needed.
    private enum Message {
        /// So many bytes pass.
        case passing(Int)
        /// An AuthenticationSASL of so many bytes.
        case offer(Int)
        /// No AuthenticationSASL can follow.
        case last

        init?(_ bytes: ArraySlice<UInt8>) {
            guard let kind = bytes.first else { return nil }
            guard kind == 0x52 || kind == 0x4E || kind == 0x76 else {
                self = .last
                return
            }
            guard bytes.count >= 5 else { return nil }
            let length = Self.number(bytes.dropFirst())
            // NoticeResponse and NegotiateProtocolVersion.
            guard kind == 0x52 else {
                self = (4...0x7FFF_FFFE).contains(length) ? .passing(length + 1) : .last
                return
            }
            guard (8...MechanismFilter.longestOffer).contains(length) else {
                self = .last
                return
            }
            guard bytes.count >= 9 else { return nil }
            self = Self.number(bytes.dropFirst(5)) == 10 ? .offer(length + 1) : .last
        }

        private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
            bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        }
    }

    /// An AuthenticationSASL without the mechanism; as it is where it is none, or offers nothing else.
    private mutating func without(_ message: ArraySlice<UInt8>) -> [UInt8] {
        let list = message.dropFirst(9)
        // Names end with a zero each, and the list with one more.
        guard list.count >= 2, list.suffix(2).allSatisfy({ $0 == 0 }) else { return Array(message) }
        let names = list.dropLast(2).split(separator: 0, omittingEmptySubsequences: false)
        let kept = names.filter { !$0.elementsEqual(Self.removed) }
        guard kept.count < names.count, !kept.isEmpty, kept.allSatisfy({ !$0.isEmpty }) else { return Array(message) }
        hasRemoved = true
        let body: [UInt8] = [0, 0, 0, 10] + kept.flatMap { $0 + [0] } + [0]
        let length = UInt32(truncatingIfNeeded: body.count + 4)
        return [0x52] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) } + body
    }
}

/// What a client answers to an offer without channel binding.
enum BindingAnswer: Equatable {
    /// More bytes are needed.
    case unfinished
    /// It could bind its channel, and takes the offer for that of a server that cannot: the server will refuse that, as
    /// somebody might have tampered with its offer (RFC 5802 §6, flag `y`).
    case refusedByServer
    /// Anything else.
    case other

    /// Reads a SASLInitialResponse.
    init(_ bytes: [UInt8]) {
        // Kind, length, name, its zero, and the length of the data before that.
        let name = Array("SCRAM-SHA-256\u{0}".utf8)
        let wanted = 5 + name.count + 4 + 1
        guard let first = bytes.first, first == 0x70, bytes.dropFirst(5).prefix(name.count).elementsEqual(name) else {
            let isPossible = bytes.count < 5 + name.count && (bytes.first ?? 0x70) == 0x70
            self = isPossible ? .unfinished : .other
            return
        }
        guard bytes.count >= wanted else {
            self = .unfinished
            return
        }
        self = bytes[wanted - 1] == UInt8(ascii: "y") ? .refusedByServer : .other
    }
}
