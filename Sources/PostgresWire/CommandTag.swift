// SPDX-License-Identifier: Apache-2.0
import Domain

/// The tag of a CommandComplete message, such as `SELECT 5` or `INSERT 0 1`.
struct CommandTag {
    /// The number at its end; 0 when there is none.
    var rows: UInt64 = 0
    var isRollback = false
    var isPortalMove = false

    @inline(__always)
    init(_ body: RawSpan) {
        let count = body.byteCount
        if count >= 3 {
            // All in range. Mostly the tag ends in one digit, or in a letter.
            let first = unsafe body.unsafeLoad(fromUncheckedByteOffset: 0, as: UInt8.self)
            let tail = unsafe (
                body.unsafeLoad(fromUncheckedByteOffset: count &- 3, as: UInt8.self),
                body.unsafeLoad(fromUncheckedByteOffset: count &- 2, as: UInt8.self),
                body.unsafeLoad(fromUncheckedByteOffset: count &- 1, as: UInt8.self)
            )
            if tail.2 == 0, first != 0x52, first != 0x4D {
                if tail.1 >= 0x41 { return }
                if tail.0 == 0x20, tail.1 >= 0x30, tail.1 <= 0x39 {
                    rows = UInt64(tail.1 &- 0x30)
                    return
                }
            }
        }
        self = Self(unusual: body)
    }

    @inline(never)
    private init(unusual body: RawSpan) {
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
        rows = Self.number(body, upTo: end)
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
    /// All of it is there, and tells nothing of a context, of a query inside, or of another place than the scanner and the grammar.
    private var mayBeGrammars = false

    init(_ body: RawSpan) {
        var offset = 0
        var isElsewhere = false
        while offset < body.byteCount, body.byte(at: offset) != 0 {
            let end = body.firstOffset(of: 0, from: offset + 1) ?? body.byteCount
            switch body.byte(at: offset) {
            case 0x43 where end == offset + 6:  // C
                for index in 1...5 { code = code &<< 8 | UInt64(body.byte(at: offset + index)) }
            case 0x56:  // V: the severity, never translated
                let first = end > offset + 1 ? body.byte(at: offset + 1) : 0
                isFatal = first == 0x46 || first == 0x50
            case 0x57, 0x70, 0x71:  // W, p, q
                isElsewhere = true
            case 0x46:  // F: the source file
                let file = body.extracting(offset + 1..<max(offset + 1, end))
                if !Self.ends(file, "scan.l"), !Self.ends(file, "gram.y"), !Self.ends(file, "parser.c") {
                    isElsewhere = true
                }
            default: break
            }
            offset = end + 1
        }
        mayBeGrammars = offset < body.byteCount && !isElsewhere
    }

    private static func ends(_ bytes: RawSpan, _ suffix: StaticString) -> Bool {
        let start = bytes.byteCount - suffix.utf8CodeUnitCount
        guard start >= 0 else { return false }
        return (0..<suffix.utf8CodeUnitCount).allSatisfy { unsafe bytes.byte(at: start + $0) == suffix.utf8Start[$0] }
    }

    /// The text of a Query message did not parse, so nothing of it ran: `42601` of the scanner or the grammar.
    ///
    /// A function may raise that code too, also by a text of its own; then there is a context.
    var isSyntaxError: Bool { code == 0x34_3236_3031 && mayBeGrammars }

    /// Of a Bind that failed: the new portal had taken the place of the one before (exec_bind_message, in PostgreSQL's postgres.c).
    ///
    /// Before that it looks for the statement (`26000`), counts the parameters (`08P01`), and refuses what comes in a failed
    /// transaction (`25P02`).
    var isBehindPortal: Bool { code != 0x32_3630_3030 && code != 0x30_3850_3031 && code != 0x32_3550_3032 }

    /// A server that waits for a message ends the session with it: `57P01` admin_shutdown, `57P05` idle_session_timeout,
    /// `25P03` idle_in_transaction_session_timeout, `25P04` transaction_timeout.
    var isOfIdleServer: Bool {
        code == 0x35_3750_3031 || code == 0x35_3750_3035 || code == 0x32_3550_3033 || code == 0x32_3550_3034
    }

    /// Of these, those that may end one that runs something, too.
    var mayBeOfBusyServer: Bool { code == 0x35_3750_3031 || code == 0x32_3550_3034 }
}
