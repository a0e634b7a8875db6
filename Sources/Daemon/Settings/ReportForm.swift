// SPDX-License-Identifier: Apache-2.0
public import Pipeline
public import Reports

/// How a report looks: the same for captures and for live taps.
public struct ReportForm: Sendable {
    /// The forms of a report as a whole.
    public enum Kind: Sendable {
        /// For people: tables that fit the terminal, or a block for each pattern.
        case text, fullText
        /// One JSON object.
        case json
        /// One file for a browser.
        case html
        /// The first table, for other programs.
        case csv
    }

    /// Which one.
    public var kind: Kind
    /// Lines of each table; `nil`: as many as is usual.
    public var top: Int?
    /// What the first table adds up by.
    public var by: Grouping
    /// Its width and colours, as text.
    public var style: TerminalStyle

    /// A form.
    public init(_ kind: Kind, top: Int?, by: Grouping, style: TerminalStyle) {
        (self.kind, self.top, self.by, self.style) = (kind, top, by, style)
    }

    /// The report, as UTF-8.
    public func render(_ result: ReplayResult) -> [UInt8] {
        switch kind {
        case .text: TextReport(result, top: top ?? 10, by: by, style: style).render()
        case .fullText: TextReport(result, top: top ?? 10, by: by, style: style, isFull: true).render()
        case .json: JSONReport(result, top: top).render()
        case .html: HTMLReport(result, top: top ?? 100, by: by).render()
        case .csv: CSVReport(result, top: top, by: by).render()
        }
    }
}
