// SPDX-License-Identifier: Apache-2.0
import Domain

/// How a text report is to look.
public struct TerminalStyle: Sendable {
    /// The terminal's columns; `nil`: there is none, and nothing is cut.
    public var limit: Int?
    /// Whether colours may be used.
    public var isColored: Bool

    /// A style.
    public init(width: Int?, isColored: Bool) {
        limit = width.map { max(60, $0) }
        self.isColored = isColored
    }

    /// Columns to lay out for.
    public var width: Int { limit ?? 100 }

    package enum Color: String {
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case brightRed = "1;31"
    }

    package func paint(_ text: String, _ color: Color) -> String {
        isColored ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }
}

/// Text of exactly so many columns; what a terminal would not show is `?`, so that a name cannot move the cursor.
package enum Column {
    package static func left(_ text: String, _ width: Int) -> String {
        let cut = fit(text, width)
        return cut + String(repeating: " ", count: max(0, width - cut.count))
    }

    package static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    package static func fit(_ text: String, _ width: Int) -> String {
        let clean = text.printable
        guard clean.count > width else { return clean }
        return String(clean.prefix(max(0, width - 1))) + "…"
    }
}
