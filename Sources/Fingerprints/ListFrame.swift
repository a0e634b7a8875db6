// SPDX-License-Identifier: Apache-2.0

/// What the writer knows about one level of parentheses or brackets: enough to shorten the lists in it as they are
/// written.
///
/// Positions are those of ``PatternBuffer``.
struct ListFrame: BitwiseCopyable {
    /// How the elements between the commas of this level are shortened.
    enum Shortening: UInt8, BitwiseCopyable {
        /// Not at all: arguments, column lists, subqueries.
        case none
        /// `IN (…)`: an element like the one before is dropped.
        case equalElements
        /// `ARRAY[…]`, subscripts: a literal after a literal is dropped.
        case literals
        /// A row of nothing but literals becomes one literal.
        case literalRow
    }

    /// Where the rows of a VALUES list at this level stand.
    enum Rows: UInt8, BitwiseCopyable {
        /// There is no such list.
        case none
        /// After VALUES, or after the comma behind a row.
        case expected
        /// Inside the parentheses of a row.
        case open
        /// Behind a row.
        case closed
    }

    /// An element or row longer than this is never dropped, so that the buffer's window always covers two of them.
    static let maximumElement = 12 * 1024

    var shortening = Shortening.none
    /// Whether the next token begins an element.
    var isAtElement = true
    /// The element being written begins here.
    var elementStart = 0
    /// The element before it.
    var previousStart = 0
    var previousEnd = -1
    /// For literal rows: still nothing but literals between commas.
    var isLiteral = true
    /// For literal rows: the end of the first literal, or -1.
    var firstEnd = -1

    /// Whether a query stands at this level, so that its ORDER BY and GROUP BY take ordinals.
    var isQuery = false
    /// Whether that would be so if the next token were a parenthesis.
    var mayNest = false
    /// The list of ORDER BY and the like that is being written, and how many parentheses of one element are around.
    var sort = PatternWriter.SortList.none
    var sortParentheses: UInt8 = 0
    /// Whether the next token begins an element of it.
    var isAtSortElement = false

    var rows = Rows.none
    /// The end of the row before, or of VALUES: where a repeated row is cut off.
    var rowBoundary = 0
    /// Where the row's parenthesis stands.
    var rowStart = 0
    /// Hashes of the latest different rows.
    var row0: UInt64 = 0
    var row1: UInt64 = 0
    var row2: UInt64 = 0
    var row3: UInt64 = 0

    /// Whether a row of this hash was written lately; if not, it is remembered.
    mutating func remembersRow(_ hash: UInt64) -> Bool {
        if hash == row0 || hash == row1 || hash == row2 || hash == row3 { return true }
        (row3, row2, row1, row0) = (row2, row1, row0, hash)
        return false
    }

    /// Forgets the rows of an earlier VALUES list.
    mutating func expectRows() {
        rows = .expected
        (row3, row2, row1, row0) = (0, 0, 0, 0)
    }
}
