// SPDX-License-Identifier: Apache-2.0

/// What a server answered, copied out of the protocol reader (RESP 2).
public enum RedisReply: Sendable, Equatable {
    /// A status, such as `OK`.
    case simple(String)
    /// A string of any bytes.
    case bulk([UInt8])
    /// A number.
    case integer(Int64)
    /// Several replies, such as those of EXEC.
    case array([RedisReply])
    /// Nothing, such as the value of a key that is not there.
    case null
    /// An error within an array; one that answers a whole command is `RedisError.refused`.
    case error(RedisRefusal)

    /// The bytes of a string or status; `nil` for anything else.
    public var bytes: [UInt8]? {
        switch self {
        case .simple(let text): Array(text.utf8)
        case .bulk(let bytes): bytes
        default: nil
        }
    }

    /// The text of a string or status, with replacement characters where it is not UTF-8; `nil` for anything else.
    public var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// The number, also where it came as a string; `nil` for anything else.
    public var number: Int64? {
        if case .integer(let number) = self { return number }
        return text.flatMap { Int64($0) }
    }

    /// The elements of an array; `nil` for anything else.
    public var elements: [RedisReply]? {
        if case .array(let elements) = self { return elements }
        return nil
    }
}

/// How much a server may make us hold.
enum ReplyLimits {
    /// Most elements of one array.
    static let elements: Int32 = 65_536
    /// Most bytes of one reply as it comes over the wire.
    static let bytes = 16 << 20
    /// Deepest array; hiredis 0.14 itself refuses an eighth.
    static let depth = 8
}
