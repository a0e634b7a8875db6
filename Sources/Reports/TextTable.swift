// SPDX-License-Identifier: Apache-2.0
import Domain

/// A table for people that fits its terminal: no line is wrapped, and what does not fit is left out by column.
///
/// Columns are as wide as what stands in them. Where that is more than the terminal has, flexible columns are cut down to
/// their least width, then columns go, those of the highest rank first. What is not written to a terminal is not cut.
package struct TextTable {
    /// How a column is laid out.
    package struct Column: Sendable {
        var title: String
        var isRight: Bool
        /// 0: it always stays; of others the highest goes first.
        var rank: Int
        /// For a text that may be cut with `…`: its least width, in columns.
        var least: Int?
        /// It is so wide whatever stands in it: tables that are shown again and again keep their form.
        var usual = 0

        /// Numbers, which are never cut.
        package static func number(_ title: String, rank: Int = 0, usual: Int = 0) -> Column {
            Column(title: title, isRight: true, rank: rank, least: nil, usual: usual)
        }

        /// Short words, which are never cut.
        package static func word(_ title: String, rank: Int = 0) -> Column {
            Column(title: title, isRight: false, rank: rank, least: nil)
        }

        /// Text of any length.
        package static func text(_ title: String, least: Int = 12, rank: Int = 0) -> Column {
            Column(title: title, isRight: false, rank: rank, least: max(least, title.count))
        }
    }

    /// What stands in one place.
    package struct Cell: ExpressibleByStringLiteral, Sendable {
        var text: String
        var color: TerminalStyle.Color?

        /// A cell; what a terminal would not show is `?`.
        package init(_ text: String, _ color: TerminalStyle.Color? = nil) {
            (self.text, self.color) = (text.printable, color)
        }

        package init(stringLiteral value: String) { self.init(value) }
    }

    private let columns: [Column]
    private var rows: [[Cell]] = []

    /// A table without rows.
    package init(_ columns: [Column]) { self.columns = columns }

    /// Adds a row: a cell for each column.
    package mutating func add(_ cells: [Cell]) { rows.append(cells) }

    /// The heading and a line for each row, each indented by so many columns.
    package func lines(_ style: TerminalStyle, indent: Int = 2) -> [String] {
        let (heading, rows) = parts(style, indent: indent)
        return [style.paint(heading, .dim)] + rows
    }

    /// The heading, and a line for each row.
    package func parts(_ style: TerminalStyle, indent: Int = 0) -> (heading: String, rows: [String]) {
        let widths = widths(for: style.limit.map { $0 - indent })
        let shown = columns.indices.filter { widths[$0] > 0 }
        let space = String(repeating: " ", count: indent)
        func line(_ cells: [Cell], _ style: TerminalStyle?) -> String {
            shown.reduce(space) { line, index in
                line + cell(index < cells.count ? cells[index] : "", index, widths, shown, style)
            }
        }
        return (line(columns.map { Cell($0.title) }, nil), rows.map { line($0, style) })
    }

    /// A cell with the space to the next one; the last one has none.
    private func cell(_ cell: Cell, _ index: Int, _ widths: [Int], _ shown: [Int], _ style: TerminalStyle?) -> String {
        let text = cell.text.count > widths[index] ? String(cell.text.prefix(widths[index] - 1)) + "…" : cell.text
        let space = String(repeating: " ", count: widths[index] - text.count)
        var painted = text
        if let color = cell.color, let style { painted = style.paint(text, color) }
        if columns[index].isRight { return space + painted + (index == shown.last ? "" : "  ") }
        return painted + (index == shown.last ? "" : space + "  ")
    }

    /// The width of each column; 0: it is left out.
    private func widths(for limit: Int?) -> [Int] {
        let natural = columns.indices.map { index in
            rows.reduce(max(columns[index].title.count, columns[index].usual)) { width, row in
                max(width, index < row.count ? row[index].text.count : 0)
            }
        }
        guard let limit else { return natural }
        let least = columns.indices.map { min(natural[$0], columns[$0].least ?? natural[$0]) }
        var kept = Set(columns.indices)
        func total(_ widths: [Int]) -> Int { kept.reduce(0) { $0 + widths[$1] + 2 } - 2 }
        while total(least) > limit, let last = kept.filter({ columns[$0].rank > 0 }).max(by: { rank($0) < rank($1) }) {
            kept.remove(last)
        }
        // What is left goes to those that could use it, the first ones first; the last one takes the rest.
        var widths = columns.indices.map { kept.contains($0) ? least[$0] : 0 }
        var left = limit - total(widths)
        let flexible = kept.sorted().filter { columns[$0].least != nil }
        for index in flexible where left > 0 {
            let wanted = natural[index] - widths[index]
            // Names in front leave the statement behind them at least half of the room.
            let most = index == flexible.last ? left : left / 2
            let more = min(wanted, most)
            widths[index] += more
            left -= more
        }
        if left < 0, let last = flexible.last { widths[last] = max(1, widths[last] + left) }
        return widths
    }

    private func rank(_ index: Int) -> (Int, Int) { (columns[index].rank, index) }
}

/// Text between words, for lines that are no table.
package enum Paragraph {
    /// The words of `text` in lines of at most `width` columns; later ones are indented by `indent` columns.
    package static func lines(_ text: String, width: Int?, indent: Int) -> [String] {
        guard let width, text.count > width else { return [text] }
        var lines: [String] = []
        let lead = text.prefix { $0 == " " }
        var line = String(lead)
        var isEmpty = true
        for word in text.dropFirst(lead.count).split(separator: " ") {
            if !isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                (line, isEmpty) = (String(repeating: " ", count: indent), true)
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        return lines + [line]
    }
}
