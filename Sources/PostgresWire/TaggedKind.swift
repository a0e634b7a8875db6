// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a command tag says of a statement whose text was not seen (PostgreSQL documentation, "Message Formats",
/// CommandComplete; the tags are those of `cmdtaglist.h`).
struct TaggedKind {
    /// `nil`: a tag that no command has, or SELECT, which CREATE TABLE AS ends with as well.
    private(set) var kind: StatementKind?
    private var isSelect = false

    /// The body of a CommandComplete: the tag and a zero byte.
    @inline(never)
    init(_ body: RawSpan) {
        let end = body.firstOffset(of: 0, from: 0) ?? body.byteCount
        guard end >= 3 else { return }
        var word: UInt32 = 0
        for offset in 0..<4 { word = word << 8 | UInt32(offset < end ? body.byte(at: offset) : 0x20) }
        switch word {
        case Self.word("S", "E", "L", "E"): isSelect = true
        case Self.word("I", "N", "S", "E"): kind = .insert
        case Self.word("U", "P", "D", "A"): kind = .update
        case Self.word("D", "E", "L", "E"): kind = .delete
        case Self.word("M", "E", "R", "G"): kind = .merge
        case Self.word("C", "O", "P", "Y"): kind = .copy
        case Self.word("F", "E", "T", "C"), Self.word("M", "O", "V", "E"): kind = .fetch
        // COMMIT alone: COMMENT and COMMIT PREPARED end no transaction of the session.
        case Self.word("C", "O", "M", "M"): kind = end == 6 ? .commit : .utility
        // ROLLBACK is the tag of ROLLBACK TO SAVEPOINT as well, behind which the transaction goes on with its portals: what
        // follows from its end is told by ReadyForQuery. And where no end is told, no beginning is.
        case Self.word("S", "A", "V", "E"), Self.word("R", "E", "L", "E"): kind = .savepoint
        case Self.word("S", "E", "T", " "), Self.word("R", "E", "S", "E"): kind = .set
        case Self.word("S", "H", "O", "W"): kind = .show
        case Self.word("E", "X", "P", "L"): kind = .explain
        case Self.word("C", "A", "L", "L"): kind = .call
        case Self.word("D", "E", "C", "L"): kind = .declare
        case Self.word("C", "L", "O", "S"): kind = .closeCursor
        case Self.word("D", "E", "A", "L"): kind = end > 10 ? .deallocateAll : .deallocate
        // PREPARE TRANSACTION ends the session's transaction; PREPARE changes names that are not known.
        case Self.word("P", "R", "E", "P"): kind = end == 7 ? .prepare : .utility
        case Self.word("D", "I", "S", "C"): kind = end == 11 ? .discardAll : .utility
        default: kind = body.byte(at: 0) >= 0x41 && body.byte(at: 0) <= 0x5A ? .utility : nil
        }
    }

    /// What a statement of unseen text was; `nil`: it cannot be told.
    ///
    /// - Parameters:
    ///   - rows: the number at the end of the tag.
    ///   - answer: bytes that the server sent since the answer before, at least.
    ///   - isDescribed: whether a RowDescription was among them.
    func kind(rows: UInt64, answer: UInt64, isDescribed: Bool) -> StatementKind? {
        guard isSelect else { return kind }
        if isDescribed { return .select }
        // CREATE TABLE AS tells rows and sends none; a DataRow has at least seven bytes.
        guard rows > 0 else { return nil }
        let (least, isTooMuch) = rows.multipliedReportingOverflow(by: 7)
        return isTooMuch || answer < least ? .utility : .select
    }

    @inline(__always)
    private static func word(
        _ a: Unicode.Scalar,
        _ b: Unicode.Scalar,
        _ c: Unicode.Scalar,
        _ d: Unicode.Scalar
    )
        -> UInt32
    {
        a.value << 24 | b.value << 16 | c.value << 8 | d.value
    }
}

extension StatementKind {
    /// Whether the answer says more than the text did.
    @inline(__always)
    var isOpen: Bool { self == .execute || self == .unknown }
}
