// SPDX-License-Identifier: Apache-2.0
import Domain

/// Lists: `IN (1, 2, 3)` and `VALUES (1, 2), (3, 4)` have one pattern, whatever their lengths.
extension PatternWriter {
    /// Keeps the books of the innermost list when a token other than a parenthesis or comma is written.
    mutating func noteInList(_ mark: Mark) {
        switch mark.shape {
        case .open, .close, .comma: return
        default: break
        }
        if frame.rows != .none { frame.rows = .none }
        guard frame.shortening != .none else { return }
        if frame.isAtElement {
            frame.elementStart = buffer.position
            frame.isAtElement = false
            frame.isLiteral = frame.isLiteral && mark.shape == .literal
            if previous.shape == .open, mark.keyword.beginsSubquery { frame.shortening = .none }
        } else {
            frame.isLiteral = false
        }
    }

    /// Writes `(` or `[` and goes one level down.
    mutating func open(_ byte: UInt8) {
        var inner = ListFrame()
        if byte == UInt8(ascii: "[") {
            inner.shortening = .literals
        } else if previous.keyword == .in {
            inner.shortening = .equalElements
        } else if previous.shape == .none || previous.shape == .comma || previous.keyword == .values
            || previous.shape == .open
        {
            inner.shortening = .literalRow
        }
        let isRow = frame.rows == .expected && byte == UInt8(ascii: "(")
        openSort(&inner)
        begin(Mark(shape: .open))
        if frame.isAtElement {
            frame.elementStart = buffer.position
            frame.isAtElement = false
        }
        frame.isLiteral = false
        frame.rows = isRow ? .open : .none
        frame.rowStart = buffer.position
        buffer.append(byte)
        if depth < Self.maximumDepth { frames[depth] = frame }
        depth &+= 1
        frame = inner
    }

    /// Writes `)` or `]` and goes one level up, unless there is none.
    mutating func close(_ byte: UInt8) {
        finishElement()
        if frame.shortening == .literalRow, frame.isLiteral, !frame.isAtElement, frame.firstEnd >= 0,
            buffer.position &- frame.firstEnd <= ListFrame.maximumElement
        {
            buffer.truncate(to: frame.firstEnd)
        }
        begin(Mark(shape: .close))
        buffer.append(byte)
        guard depth > 0 else { return }
        depth &-= 1
        frame = depth < Self.maximumDepth ? frames[depth] : ListFrame()
        guard frame.rows == .open else { return }
        frame.rows = .closed
        dropRepeatedRow()
    }

    /// Takes back a row of a VALUES list that was written before.
    private mutating func dropRepeatedRow() {
        let length = buffer.position &- frame.rowStart
        if length <= ListFrame.maximumElement, frame.remembersRow(buffer.hashOfTail(from: frame.rowStart)) {
            buffer.truncate(to: frame.rowBoundary)
        } else {
            frame.rowBoundary = buffer.position
        }
    }

    /// Whether a literal was written that is a whole element so far, of a list that drops another like it.
    var dropsNextLiteral: Bool {
        frame.shortening != .none && frame.shortening != .literalRow && previous.shape == .literal && !frame.isAtElement
            && buffer.position &- frame.elementStart == 1
    }

    /// Writes a comma, which ends an element.
    mutating func writeComma() {
        finishElement()
        if frame.rows == .closed { frame.rows = .expected } else { frame.rows = .none }
        if frame.isAtElement {
            // Nothing stands between two commas: no list to shorten.
            frame.isLiteral = false
            frame.previousEnd = -1
        }
        frame.isAtElement = true
        writePunctuation(.comma, ",")
    }

    /// Takes back the element just written if the list drops it for its likeness to the one before.
    private mutating func finishElement() {
        guard frame.shortening == .equalElements || frame.shortening == .literals, !frame.isAtElement else { return }
        let length = buffer.position &- frame.elementStart
        let isShort = frame.shortening == .equalElements ? length <= ListFrame.maximumElement : length == 1
        if isShort, frame.previousEnd &- frame.previousStart == length,
            frame.shortening == .equalElements || previous.shape == .literal,
            buffer.isEqual(frame.previousStart, frame.elementStart, length: length)
        {
            buffer.truncate(to: frame.previousEnd)
        } else {
            frame.previousStart = frame.elementStart
            frame.previousEnd = buffer.position
        }
    }
}
