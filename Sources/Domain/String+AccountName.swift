// SPDX-License-Identifier: Apache-2.0

/// Names of roles and databases are bytes: two that differ in a byte are two accounts.
///
/// Swift's strings are equal where Unicode calls them canonically equivalent, and bytes that are no UTF-8 all become the same
/// character. So only a name that is UTF-8 in Normalization Form C stands for itself; of every other one each byte from 0x80 on
/// becomes U+FFFD and two hexadecimal digits. No two names become the same text.
extension String {
    /// The text that stands for a name.
    public init(accountName bytes: RawSpan) {
        let copy = (0..<bytes.byteCount).map { bytes.byte(at: $0) }
        if let text = Self.plain(copy) {
            self = text
            return
        }
        var escaped = ""
        for byte in copy {
            if byte < 0x80 {
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                escaped.unicodeScalars.append("\u{FFFD}")
                escaped += String(byte, radix: 16)
            }
        }
        self = escaped
    }

    /// The bytes of the name that this text stands for.
    public var accountNameBytes: [UInt8] {
        guard unicodeScalars.contains("\u{FFFD}") else { return Array(utf8) }
        var bytes: [UInt8] = []
        let scalars = Array(unicodeScalars)
        var index = 0
        while index < scalars.count {
            if scalars[index] == "\u{FFFD}", index + 2 < scalars.count,
                let high = Character(scalars[index + 1]).hexDigitValue,
                let low = Character(scalars[index + 2]).hexDigitValue
            {
                bytes.append(UInt8(high << 4 | low))
                index += 3
            } else {
                bytes += Array(String(Character(scalars[index])).utf8)
                index += 1
            }
        }
        return bytes
    }

    /// The same name as ``init(accountName:)`` has it: for names that people and configurations write, in whatever form.
    public var asAccountName: String {
        let bytes = accountNameBytes
        return String(accountName: bytes.rawSpan)
    }

    /// The name itself, if it is text that no other name's is equal to.
    private static func plain(_ bytes: [UInt8]) -> String? {
        if bytes.allSatisfy({ $0 < 0x80 }) { return String(decoding: bytes, as: UTF8.self) }
        guard let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains("\u{FFFD}") else {
            return nil
        }
        var span = text.utf8Span
        return span.checkForNFC(quickCheck: false) ? text : nil
    }
}
