// SPDX-License-Identifier: Apache-2.0

/// Numbers as people read them.
public enum Quantity {
    /// Such as `1,234,567`.
    public static func grouped(_ value: some BinaryInteger) -> String {
        let digits = String(value.magnitude)
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return (value < 0 ? "-" : "") + result
    }

    /// Such as `950`, `12.3k`, `4.56M`.
    public static func short(_ value: Double) -> String {
        for (scale, suffix) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= scale * 0.9995 {
            return significant(value / scale) + suffix
        }
        return value == value.rounded() ? String(Int(value)) : significant(value)
    }

    /// Such as `17 µs`, `3.2 ms`, `1.5 s`, `12 min`.
    public static func duration(_ nanoseconds: UInt64) -> String {
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

    /// The same for seconds.
    public static func duration(seconds: Double) -> String {
        duration(UInt64(max(0, min(seconds.isFinite ? seconds : 0, 9e9)) * 1e9))
    }

    /// Such as `1.2 MB`.
    public static func bytes(_ value: UInt64) -> String {
        value < 1000 ? "\(value) B" : short(Double(value)).replacingSuffix() + "B"
    }

    /// Such as `12.3 %`.
    public static func percent(_ share: Double) -> String {
        decimal(share * 100, abs(share) < 0.0995 ? 1 : 0) + " %"
    }

    /// Three significant digits.
    public static func significant(_ value: Double) -> String {
        let places = abs(value) < 9.995 ? 2 : abs(value) < 99.95 ? 1 : 0
        return decimal(value, places)
    }

    /// `value` · 10^-places, exactly, without trailing zeros; at most 18 places.
    public static func fixed(_ value: Int64, places: Int) -> String {
        var scale: UInt64 = 1
        var digits = min(max(0, places), 18)
        for _ in 0..<digits { scale *= 10 }
        // By numbers: a long report writes thousands, and characters of a string are dear.
        let (whole, rest) = value.magnitude.quotientAndRemainder(dividingBy: scale)
        var fraction = rest
        let sign = value < 0 ? "-" : ""
        guard fraction > 0 else { return sign + String(whole) }
        while fraction.isMultiple(of: 10) {
            fraction /= 10
            digits -= 1
        }
        let text = String(fraction)
        return sign + String(whole) + "." + String(repeating: "0", count: digits - text.utf8.count) + text
    }

    /// The nearest number of so many decimal places, without trailing zeros; 0 for what is no number.
    public static func decimal(_ value: Double, _ places: Int) -> String {
        guard value.isFinite else { return "0" }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = min(max((value * scale).rounded(), -9e18), 9e18)
        return fixed(Int64(scaled), places: places)
    }
}

extension String {
    /// A blank before the unit: `1.2M` becomes `1.2 M`.
    fileprivate func replacingSuffix() -> String {
        guard let last, last.isLetter else { return self + " " }
        return dropLast() + " " + String(last)
    }
}
