// SPDX-License-Identifier: Apache-2.0

/// Numbers for people.
enum Figures {
    /// Such as `1.2k`, `34M`.
    static func short(_ value: Double) -> String {
        let size = abs(value)
        for (limit, factor, suffix) in [(1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")]
        where size >= limit { return decimals(value / factor, size / factor >= 100 ? 0 : 1) + suffix }
        if size >= 100 || value == value.rounded() { return grouped(Int64(min(max(value.rounded(), -9e15), 9e15))) }
        return decimals(value, size >= 10 ? 1 : 2)
    }

    /// Such as `12,345`.
    static func grouped(_ value: Int64) -> String {
        var result = ""
        for (index, digit) in String(value.magnitude).reversed().enumerated() {
            if index > 0, index % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return (value < 0 ? "−" : "") + String(result.reversed())
    }

    static func decimals(_ value: Double, _ places: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "–" }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let whole = Int64((value * scale).rounded())
        guard places > 0 else { return String(whole) }
        var digits = String(whole.magnitude)
        if digits.count <= places { digits = String(repeating: "0", count: places + 1 - digits.count) + digits }
        let split = digits.index(digits.endIndex, offsetBy: -places)
        return (whole < 0 ? "−" : "") + digits[..<split] + "." + digits[split...]
    }

    /// Such as `87 %`.
    static func percent(_ share: Double) -> String {
        let value = share * 100
        if value > 0, value < 0.1 { return "<0.1 %" }
        return (value < 10 && value != value.rounded() ? decimals(value, 1) : decimals(min(value, 1e9), 0)) + " %"
    }

    /// Such as `1.2 ms`.
    static func time(_ seconds: Double) -> String {
        if seconds <= 0 { return "0" }
        for (limit, factor, unit) in [(1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (100, 1.0, "s")] where seconds < limit {
            let value = seconds * factor
            return decimals(value, value >= 100 ? 0 : value >= 10 ? 1 : 2) + " " + unit
        }
        return seconds < 6000 ? decimals(seconds / 60, 1) + " min" : decimals(seconds / 3600, 1) + " h"
    }

    /// Such as `3 MiB`.
    static func bytes(_ value: Double) -> String {
        for (limit, unit) in [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")] where value >= limit {
            return decimals(value / limit, 1) + " " + unit
        }
        return decimals(value, 0) + " B"
    }
}
