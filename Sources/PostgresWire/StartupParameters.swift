// SPDX-License-Identifier: Apache-2.0
import Domain

/// The name/value pairs of a StartupMessage.
enum StartupParameters {
    /// Where the value of `name` stands, or `nil`.
    ///
    /// Of several the last: so server and PgBouncer take them (ProcessStartupPacket in PostgreSQL's backend_startup.c), and who
    /// names somebody else before must not have that one pay.
    static func find(_ name: StaticString, in bytes: RawSpan, from start: Int = 8) -> Range<Int>? {
        var offset = start
        var found: Range<Int>?
        while offset < bytes.byteCount, bytes.byte(at: offset) != 0 {
            guard let nameEnd = bytes.firstOffset(of: 0, from: offset),
                let valueEnd = bytes.firstOffset(of: 0, from: nameEnd + 1)
            else { return found }
            if nameEnd - offset == name.utf8CodeUnitCount {
                let isSame = (0..<nameEnd - offset).allSatisfy { index in
                    unsafe bytes.byte(at: offset + index) == name.utf8Start[index]
                }
                if isSame { found = nameEnd + 1..<valueEnd }
            }
            offset = valueEnd + 1
        }
        return found
    }
}
