// SPDX-License-Identifier: Apache-2.0

/// How a text report is to look.
public struct TerminalStyle: Sendable {
    /// Columns.
    public var width: Int
    /// Whether colours may be used.
    public var isColored: Bool

    /// A style.
    public init(width: Int, isColored: Bool) {
        self.width = max(60, width)
        self.isColored = isColored
    }

    enum Color: String {
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case brightRed = "1;31"
    }

    func paint(_ text: String, _ color: Color) -> String {
        isColored ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }
}

/// Text of exactly so many columns; control characters show as `?`, so that a name cannot move the cursor.
enum Column {
    static func left(_ text: String, _ width: Int) -> String {
        let cut = fit(text, width)
        return cut + String(repeating: " ", count: max(0, width - cut.count))
    }

    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    static func fit(_ text: String, _ width: Int) -> String {
        let clean = String(text.map { $0.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F } ? "?" : $0 })
        guard clean.count > width else { return clean }
        return String(clean.prefix(max(0, width - 1))) + "…"
    }
}

/// Numbers as people read them.
enum Quantity {
    /// Such as `1,234,567`.
    static func grouped(_ value: some BinaryInteger) -> String {
        let digits = String(value.magnitude)
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return (value < 0 ? "-" : "") + result
    }

    /// Such as `950`, `12.3k`, `4.56M`.
    static func short(_ value: Double) -> String {
        for (scale, suffix) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= scale * 0.9995 {
            return significant(value / scale) + suffix
        }
        return value == value.rounded() ? String(Int(value)) : significant(value)
    }

    /// Such as `17 µs`, `3.2 ms`, `1.5 s`, `12 min`.
    static func duration(_ nanoseconds: UInt64) -> String {
        let value = Double(nanoseconds)
        switch value {
        case ..<1e3: return nanoseconds == 0 ? "0" : "<1 µs"
        case ..<999.5e3: return significant(value / 1e3) + " µs"
        case ..<999.5e6: return significant(value / 1e6) + " ms"
        case ..<120e9: return significant(value / 1e9) + " s"
        case ..<7200e9: return significant(value / 60e9) + " min"
        default: return significant(value / 3600e9) + " h"
        }
    }

    /// Such as `1.2 MB`.
    static func bytes(_ value: UInt64) -> String {
        value < 1000 ? "\(value) B" : short(Double(value)).replacingSuffix() + "B"
    }

    /// Such as `12.3 %`.
    static func percent(_ share: Double) -> String {
        JSONWriter.decimal(share * 100, abs(share) < 0.0995 ? 1 : 0) + " %"
    }

    /// Three significant digits.
    static func significant(_ value: Double) -> String {
        let places = abs(value) < 9.995 ? 2 : abs(value) < 99.95 ? 1 : 0
        return JSONWriter.decimal(value, places)
    }
}

extension String {
    /// A blank before the unit: `1.2M` becomes `1.2 M`.
    fileprivate func replacingSuffix() -> String {
        guard let last, last.isLetter else { return self + " " }
        return dropLast() + " " + String(last)
    }
}
