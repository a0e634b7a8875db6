// SPDX-License-Identifier: Apache-2.0
import Domain

/// Writes JSON (RFC 8259) with keys in the order given, so that equal reports are equal bytes.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false
    private let isIndented: Bool
    private var depth = 0

    init(isIndented: Bool = false) {
        self.isIndented = isIndented
    }

    mutating func object(_ key: StaticString? = nil, _ body: (inout JSONWriter) -> Void) {
        open(key, 0x7B)
        body(&self)
        close(0x7D)
    }

    mutating func array(_ key: StaticString? = nil, _ body: (inout JSONWriter) -> Void) {
        open(key, 0x5B)
        body(&self)
        close(0x5D)
    }

    mutating func field(_ key: StaticString, _ value: some BinaryInteger) {
        name(key)
        bytes.append(contentsOf: String(value).utf8)
    }

    mutating func field(named key: String, _ value: some BinaryInteger) {
        separate()
        string(key.utf8)
        bytes.append(contentsOf: isIndented ? ": ".utf8 : ":".utf8)
        bytes.append(contentsOf: String(value).utf8)
    }

    /// A number with at most `places` decimal places, without trailing zeros.
    mutating func field(_ key: StaticString, _ value: Double, places: Int) {
        name(key)
        bytes.append(contentsOf: Quantity.decimal(value, places).utf8)
    }

    mutating func field(_ key: StaticString, _ value: CostUnits) {
        name(key)
        bytes.append(contentsOf: Quantity.fixed(value.micro, places: 6).utf8)
    }

    mutating func field(_ key: StaticString, _ value: Bool) {
        name(key)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    mutating func field(_ key: StaticString, _ value: String?) {
        name(key)
        if let value { string(value.utf8) } else { bytes.append(contentsOf: "null".utf8) }
    }

    mutating func field(named key: String, _ value: String?) {
        separate()
        string(key.utf8)
        bytes.append(contentsOf: isIndented ? ": ".utf8 : ":".utf8)
        if let value { string(value.utf8) } else { bytes.append(contentsOf: "null".utf8) }
    }

    mutating func field(_ key: StaticString, text: [UInt8]) {
        name(key)
        string(String(decoding: text, as: UTF8.self).utf8)
    }

    /// Nanoseconds as seconds.
    mutating func field(_ key: StaticString, nanoseconds: some BinaryInteger) {
        name(key)
        bytes.append(contentsOf: Quantity.fixed(Int64(clamping: nanoseconds), places: 9).utf8)
    }

    mutating func element(_ value: Double, places: Int) {
        separate()
        bytes.append(contentsOf: Quantity.decimal(value, places).utf8)
    }

    mutating func element(_ value: some BinaryInteger) {
        separate()
        bytes.append(contentsOf: String(value).utf8)
    }

    mutating func element(_ value: String) {
        separate()
        string(value.utf8)
    }

    mutating func newline() {
        bytes.append(0x0A)
        needsComma = false
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    private mutating func open(_ key: StaticString?, _ bracket: UInt8) {
        if let key { name(key) } else { separate() }
        bytes.append(bracket)
        needsComma = false
        depth += 1
    }

    private mutating func close(_ bracket: UInt8) {
        depth -= 1
        if needsComma { indent() }
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func name(_ key: StaticString) {
        separate()
        bytes.append(0x22)
        for index in 0..<key.utf8CodeUnitCount { unsafe bytes.append(key.utf8Start[index]) }
        bytes.append(contentsOf: isIndented ? "\": ".utf8 : "\":".utf8)
    }

    private mutating func separate() {
        if needsComma { bytes.append(0x2C) }
        if depth > 0 { indent() }
        needsComma = true
    }

    private mutating func indent() {
        guard isIndented else { return }
        bytes.append(0x0A)
        bytes.append(contentsOf: repeatElement(0x20, count: depth * 2))
    }

    private mutating func string(_ text: some Sequence<UInt8>) {
        bytes.append(0x22)
        for byte in text {
            switch byte {
            case 0x22, 0x5C: bytes.append(contentsOf: [0x5C, byte])
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            case 0..<0x20, 0x7F:
                let digits = String(byte, radix: 16)
                bytes.append(contentsOf: ("\\u00" + (byte < 16 ? "0" : "") + digits).utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(0x22)
    }
}
