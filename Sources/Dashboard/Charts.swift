// SPDX-License-Identifier: Apache-2.0

/// Pictures as SVG: shapes and numbers of our own only, so that they need no escaping; colours come from the stylesheet.
enum Charts {
    /// A line of bars without axes.
    static func spark(_ values: [Double], label: String) -> String {
        let top = values.max() ?? 0
        guard top > 0 else { return "" }
        let width = 4.0
        var bars = ""
        for (index, value) in values.enumerated() where value > 0 {
            let height = max(1, value / top * 24)
            bars +=
                "<rect x=\"\(round(Double(index) * width))\" y=\"\(round(24 - height))\" width=\"3\" height=\"\(round(height))\"/>"
        }
        let size = round(Double(values.count) * width)
        return
            "<svg class=\"spark\" viewBox=\"0 0 \(size) 24\" width=\"\(size)\" height=\"24\" role=\"img\" aria-label=\"\(label)\">\(bars)</svg>"
    }

    /// How full a budget is: what is proven, what is possible, and where it ends.
    static func gauge(_ low: Double, _ high: Double, verdict: String, label: String) -> String {
        let scale = max(1.5, min(max(low, high), 3))
        func x(_ share: Double) -> String { round(min(max(share, 0), scale) / scale * 120) }
        return """
            <svg class="gauge \(verdict)" viewBox="0 0 120 12" width="120" height="12" role="img" aria-label="\(label)">\
            <rect class="track" width="120" height="12" rx="3"/>\
            <rect class="possible" width="\(x(high))" height="12" rx="3"/>\
            <rect class="used" width="\(x(low))" height="12" rx="3"/>\
            <line class="full" x1="\(x(1))" x2="\(x(1))" y1="0" y2="12"/></svg>
            """
    }

    /// Bars over time, with three lines and their values.
    static func bars(
        _ points: [(minute: Int64, value: Double)],
        from: Int64,
        to: Int64,
        step: Int64,
        label: String,
        unit: (Double) -> String
    ) -> String {
        let (width, height, left, bottom) = (720.0, 180.0, 56.0, 22.0)
        let top = points.map(\.value).max() ?? 0
        guard top > 0, to > from else { return "" }
        let (inner, tall) = (width - left, height - bottom - 8)
        let wide = inner / Double(max(1, (to - from) / max(1, step)))
        var body = ""
        for share in [0.0, 0.5, 1.0] {
            let y = round(8 + tall * (1 - share))
            body += "<line class=\"grid\" x1=\"\(round(left))\" x2=\"\(round(width))\" y1=\"\(y)\" y2=\"\(y)\"/>"
            body +=
                "<text class=\"axis\" x=\"\(round(left - 6))\" y=\"\(round(12 + tall * (1 - share)))\" text-anchor=\"end\">\(unit(top * share))</text>"
        }
        for point in points where point.value > 0 && point.minute >= from && point.minute < to {
            let x = left + Double(point.minute - from) / Double(step) * wide
            let bar = max(1, point.value / top * tall)
            body += """
                <rect class="bar" x="\(round(x))" y="\(round(8 + tall - bar))" width="\(round(max(1, wide - 1)))" \
                height="\(round(bar))"><title>\(clock(point.minute)) UTC: \(unit(point.value))</title></rect>
                """
        }
        for share in [0.0, 0.25, 0.5, 0.75] {
            let minute = from + Int64(Double(to - from) * share)
            body +=
                "<text class=\"axis\" x=\"\(round(left + inner * share))\" y=\"\(round(height - 4))\">\(clock(minute))</text>"
        }
        return
            "<svg class=\"chart\" viewBox=\"0 0 \(round(width)) \(round(height))\" role=\"img\" aria-label=\"\(label)\">\(body)</svg>"
    }

    /// The time of day, UTC.
    static func clock(_ minute: Int64) -> String {
        let day = ((minute % 1440) + 1440) % 1440
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return two(day / 60) + ":" + two(day % 60)
    }

    private static func round(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e9 else { return "0" }
        let tenths = Int64((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(abs(tenths % 10))"
    }
}
