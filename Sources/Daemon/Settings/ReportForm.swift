// SPDX-License-Identifier: Apache-2.0
public import Pipeline
public import Reports

/// How a report looks: the same for captures and for live taps.
public struct ReportForm: Sendable {
    /// One JSON object; else text for people.
    public var isJSON: Bool
    /// Lines of each table; `nil`: as many as is usual.
    public var top: Int?
    /// What the first table adds up by.
    public var by: Grouping
    /// Its width and colours, as text.
    public var style: TerminalStyle

    /// A form.
    public init(isJSON: Bool, top: Int?, by: Grouping, style: TerminalStyle) {
        (self.isJSON, self.top, self.by, self.style) = (isJSON, top, by, style)
    }

    /// The report, as UTF-8.
    public func render(_ result: ReplayResult) -> [UInt8] {
        if isJSON { return JSONReport(result, top: top).render() }
        return TextReport(result, top: top ?? 10, by: by, style: style).render()
    }
}
