// SPDX-License-Identifier: Apache-2.0
import Domain

/// The tag of a CommandComplete message, such as `SELECT 5` or `INSERT 0 1`.
struct CommandTag {
    /// The number at its end; 0 when there is none.
    var rows: UInt64 = 0
    var isRollback = false
    var isPortalMove = false

    init(_ body: RawSpan) {
        // The tag ends in the message's last byte.
        var end = body.byteCount &- 1
        guard end > 0 else { return }
        if body.byte(at: end) != 0 || body.byte(at: end &- 1) == 0 {
            end = body.firstOffset(of: 0, from: 0) ?? body.byteCount
        }
        let first = body.byte(at: 0)
        // ROLLBACK; RELEASE, REVOKE and the like have another second letter.
        isRollback = first == 0x52 && end == 8 && body.byte(at: 1) == 0x4F
        isPortalMove = first == 0x4D && end > 5 && body.byte(at: 1) == 0x4F  // MOVE
        guard !isPortalMove, end >= 2 else { return }
        // Mostly it is one digit, or none.
        let last = body.byte(at: end &- 1) &- 0x30
        guard last <= 9 else { return }
        rows = UInt64(last)
        if body.byte(at: end &- 2) != 0x20 { rows = Self.number(body, upTo: end) }
    }

    /// The decimal number that ends before `end`.
    private static func number(_ body: RawSpan, upTo end: Int) -> UInt64 {
        var number: UInt64 = 0
        var scale: UInt64 = 1
        var end = end
        while end > 0 {
            let digit = body.byte(at: end &- 1) &- 0x30
            guard digit <= 9, scale < 1_000_000_000_000_000_000 else { break }
            number &+= UInt64(digit) &* scale
            scale &*= 10
            end &-= 1
        }
        return number
    }
}

/// The fields of an ErrorResponse that matter (PostgreSQL documentation, "Error and Notice Message Fields").
struct ErrorFields {
    /// Five characters, one byte each; 0 when there is no code.
    var code: UInt64 = 0
    /// FATAL or PANIC: the session ends.
    var isFatal = false

    init(_ body: RawSpan) {
        var offset = 0
        while offset < body.byteCount, body.byte(at: offset) != 0 {
            let end = body.firstOffset(of: 0, from: offset + 1) ?? body.byteCount
            switch body.byte(at: offset) {
            case 0x43 where end == offset + 6:  // C
                for index in 1...5 { code = code &<< 8 | UInt64(body.byte(at: offset + index)) }
            case 0x56:  // V: the severity, never translated
                let first = end > offset + 1 ? body.byte(at: offset + 1) : 0
                isFatal = first == 0x46 || first == 0x50
            default: break
            }
            offset = end + 1
        }
    }

    /// `42601`: the text did not parse, so nothing of it ran.
    static let syntaxError: UInt64 = 0x34_3236_3031
}
