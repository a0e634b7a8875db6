// SPDX-License-Identifier: Apache-2.0

/// Shortens the lists of a skeleton while it is written, so that lists of all lengths have few skeletons.
///
/// Only what the exact rules drop as well is dropped: an element of `IN (…)` like the one before it, a literal after a
/// literal in brackets, a row of `VALUES` like the one before it. Everything in doubt stays.
struct SkeletonLists {
    private enum Mode { case none, elements, literals, rows }

    /// Longer gaps between two literals are not compared, in bytes.
    private static let longestGap = 24
    /// Longer rows are not compared, in bytes: a pattern has at most six bytes for each, and `ListFrame.maximumElement`
    /// is what the exact rules compare.
    private static let longestRow = 2048

    private var mode = Mode.none
    /// Whether the statement is a query, once it was asked.
    private var knowsQuery: Bool?
    /// Behind the latest literal.
    private var gapStart = 0
    /// The gap before the latest literal.
    private var previousGap = 0..<0
    /// Where the row being written begins, its parenthesis included, and how many literals stand before it.
    private var rowStart = 0
    private var rowLiterals = 0
    /// The row before it and the separator behind that; empty if there is none.
    private var previousRow = 0..<0

    /// To call before a literal is appended.
    @inline(__always)
    mutating func willAppendLiteral(_ skeleton: inout SkeletonScratch) {
        if mode == .none {
            let last = skeleton.byte(skeleton.count &- 1)
            if last == UInt8(ascii: "(") || last == UInt8(ascii: "[") { begin(last, skeleton) }
        } else {
            goOn(&skeleton)
        }
    }

    /// To call after a literal was appended.
    @inline(__always)
    mutating func didAppendLiteral(_ skeleton: borrowing SkeletonScratch) {
        gapStart = skeleton.count
    }

    /// To call where something other than bytes of the text is written: a list in progress ends.
    mutating func interrupt() { mode = .none }

    /// Looks at what stands before the bracket that a literal follows.
    @inline(never)
    private mutating func begin(_ bracket: UInt8, _ skeleton: borrowing SkeletonScratch) {
        previousGap = 0..<0
        previousRow = 0..<0
        guard isQuery(skeleton) else { return }
        var end = skeleton.count &- 1
        if bracket == UInt8(ascii: "[") {
            if !mayName(skeleton, before: end) { mode = .literals }
            return
        }
        while skeleton.byte(end &- 1) == UInt8(ascii: " ") { end &-= 1 }
        if endsIn("in", skeleton, end), !mayName(skeleton, before: end &- 2) {
            mode = .elements
        } else if endsIn("values", skeleton, end), !mayName(skeleton, before: end &- 6),
            skeleton.openings < PatternWriter.maximumDepth
        {
            mode = .rows
            rowStart = skeleton.count &- 1
            rowLiterals = skeleton.literals
        }
    }

    /// Whether the statement is one of those whose words all mean what they say: in FETCH, SET and others the exact rules
    /// take a word for a name by its place, whatever it is (``NameFolding``).
    private mutating func isQuery(_ skeleton: borrowing SkeletonScratch) -> Bool {
        if let known = knowsQuery { return known }
        var start = 0
        while start < skeleton.count, isBlank(skeleton.byte(start)) || skeleton.byte(start) == UInt8(ascii: "(") {
            start &+= 1
        }
        let words: [8 of StaticString] = ["select", "insert", "update", "delete", "with", "values", "merge", "table"]
        var result = false
        for index in words.indices where begins(words[index], skeleton, start) { result = true }
        knowsQuery = result
        return result
    }

    /// Whether what stands before `end` makes a name of whatever follows: `CURRENT OF`; or a comment, which may hide it.
    private func mayName(_ skeleton: borrowing SkeletonScratch, before end: Int) -> Bool {
        var end = end
        while end > 0, isBlank(skeleton.byte(end &- 1)) { end &-= 1 }
        let last = skeleton.byte(end &- 1)
        return last == UInt8(ascii: "*") || last == UInt8(ascii: "-") || endsIn("of", skeleton, end)
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 9 <= 4 }

    /// Whether the lower-case `word` stands at `start`, and no word character behind it.
    private func begins(_ word: StaticString, _ skeleton: borrowing SkeletonScratch, _ start: Int) -> Bool {
        let end = start &+ word.utf8CodeUnitCount
        guard end < skeleton.count, !ByteClass.isWord(skeleton.byte(end)) else { return false }
        for index in 0..<word.utf8CodeUnitCount {
            guard unsafe ByteClass.lowercased(skeleton.byte(start &+ index)) == word.utf8Start[index] else {
                return false
            }
        }
        return true
    }

    /// Whether the skeleton's first `end` bytes end in the lower-case `word`, with no word character before it, and no dot:
    /// in `5.in (` the letters are the number's, in `a.in (` a name, and the exact rules see no list.
    private func endsIn(_ word: StaticString, _ skeleton: borrowing SkeletonScratch, _ end: Int) -> Bool {
        let start = end &- word.utf8CodeUnitCount
        let before = skeleton.byte(start &- 1)
        guard start >= 0, !ByteClass.isWord(before), before != UInt8(ascii: ".") else { return false }
        for index in 0..<word.utf8CodeUnitCount {
            guard unsafe ByteClass.lowercased(skeleton.byte(start &+ index)) == word.utf8Start[index] else {
                return false
            }
        }
        return true
    }

    /// Compares the gap before the next literal with the gap before the latest one.
    private mutating func goOn(_ skeleton: inout SkeletonScratch) {
        if mode == .rows { return goOnInRows(&skeleton) }
        let gap = gapStart..<skeleton.count
        if gap.count == previousGap.count, gap.count > 0,
            skeleton.isEqual(gap.lowerBound, previousGap.lowerBound, length: gap.count)
        {
            // The latest literal and the gap behind it repeat the element before.
            skeleton.truncate(to: gap.lowerBound &- 1, literals: skeleton.literals &- 1)
        } else if separatesElements(gap, skeleton) {
            previousGap = gap
        } else {
            restart(skeleton)
        }
    }

    /// The list is over; the next literal may begin another.
    private mutating func restart(_ skeleton: borrowing SkeletonScratch) {
        mode = .none
        let last = skeleton.byte(skeleton.count &- 1)
        if last == UInt8(ascii: "(") || last == UInt8(ascii: "[") { begin(last, skeleton) }
    }

    /// Whether a gap is a comma and blanks, in IN lists perhaps after a cast to a simple name.
    private func separatesElements(_ gap: Range<Int>, _ skeleton: borrowing SkeletonScratch) -> Bool {
        guard gap.count > 0, gap.count <= Self.longestGap else { return false }
        var end = gap.upperBound
        while end > gap.lowerBound, skeleton.byte(end &- 1) == UInt8(ascii: " ") { end &-= 1 }
        guard end > gap.lowerBound, skeleton.byte(end &- 1) == UInt8(ascii: ",") else { return false }
        end &-= 1
        if end == gap.lowerBound { return true }
        guard mode == .elements, end &- gap.lowerBound > 2, skeleton.byte(gap.lowerBound) == UInt8(ascii: ":"),
            skeleton.byte(gap.lowerBound &+ 1) == UInt8(ascii: ":")
        else { return false }
        return ((gap.lowerBound &+ 2)..<end).allSatisfy { index in
            let byte = skeleton.byte(index)
            return ByteClass.lowercased(byte) &- 0x61 < 26
        }
    }

    private mutating func goOnInRows(_ skeleton: inout SkeletonScratch) {
        let gap = gapStart..<skeleton.count
        // The next literal of the row, nearly always.
        if gap.count <= 2, gap.count > 0, skeleton.byte(gap.lowerBound) == UInt8(ascii: ","),
            gap.count == 1 || skeleton.byte(gap.lowerBound &+ 1) == UInt8(ascii: " "),
            skeleton.count &- rowStart <= Self.longestRow
        {
            return
        }
        var parentheses = 0
        for index in gap {
            let byte = skeleton.byte(index)
            if byte == UInt8(ascii: "(") || byte == UInt8(ascii: ")") { parentheses &+= 1 }
        }
        if parentheses == 0, skeleton.count &- rowStart <= Self.longestRow { return }
        guard isRowSeparator(gap, skeleton) else { return restart(skeleton) }
        // The row and the separator behind it, compared with those before.
        let row = rowStart..<(skeleton.count &- 1)
        if row.count == previousRow.count, skeleton.isEqual(row.lowerBound, previousRow.lowerBound, length: row.count) {
            skeleton.truncate(to: row.lowerBound &+ 1, literals: rowLiterals)
        } else {
            previousRow = row
            rowStart = row.upperBound
            rowLiterals = skeleton.literals
        }
    }

    /// Whether a gap is `),(`, with or without blanks behind the comma.
    private func isRowSeparator(_ gap: Range<Int>, _ skeleton: borrowing SkeletonScratch) -> Bool {
        guard gap.count >= 3, gap.count <= 4 else { return false }
        return skeleton.byte(gap.lowerBound) == UInt8(ascii: ")")
            && skeleton.byte(gap.lowerBound &+ 1) == UInt8(ascii: ",")
            && skeleton.byte(gap.upperBound &- 1) == UInt8(ascii: "(")
            && (gap.count == 3 || skeleton.byte(gap.lowerBound &+ 2) == UInt8(ascii: " "))
    }
}
