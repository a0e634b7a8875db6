// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import TestKit
import Testing

/// Statements whose text was never seen, as they were prepared before the capture began: their answers tell what they were.
struct TaggedKindTests {
    typealias M = Messages

    /// Plays `answer` to an Execute of a statement that is not known.
    private static func kind(_ answer: [UInt8], describes: Bool = false) -> StatementKind? {
        var play = Play(isMidstream: true)
        play.say(.client, M.query("select 1"))
        play.say(.server, M.complete("SELECT 1") + M.ready())
        let describe = describes ? M.message("D", [0x50] + M.text("")) : []
        play.say(.client, M.bind("old") + describe + M.execute() + M.message("S"))
        play.say(.server, M.message("2") + answer + M.ready())
        return play.sink.kinds.last
    }

    private static let row = M.message("D", [0, 1, 0, 0, 0, 1, 0x31])
    private static let noData = M.message("n")
    private static let description = M.message("T", [0, 0])

    @Test(
        "the tag of an unknown statement tells its kind",
        arguments: [
            ("INSERT 0 1", StatementKind.insert), ("UPDATE 3", .update), ("DELETE 0", .delete), ("MERGE 2", .merge),
            ("COPY 5", .copy), ("FETCH 1", .fetch), ("MOVE 1", .fetch), ("BEGIN", .utility),
            ("START TRANSACTION", .utility), ("COMMIT", .commit), ("COMMIT PREPARED", .utility), ("COMMENT", .utility),
            ("ROLLBACK", .utility), ("ROLLBACK PREPARED", .utility), ("SAVEPOINT", .savepoint),
            ("RELEASE", .savepoint), ("SET", .set), ("SET CONSTRAINTS", .set), ("RESET", .set), ("SHOW", .show),
            ("EXPLAIN", .explain), ("CALL", .call), ("DECLARE CURSOR", .declare), ("CLOSE CURSOR", .closeCursor),
            ("CLOSE CURSOR ALL", .closeCursor), ("DEALLOCATE", .deallocate), ("DEALLOCATE ALL", .deallocateAll),
            ("PREPARE", .prepare), ("PREPARE TRANSACTION", .utility), ("DISCARD ALL", .discardAll),
            ("DISCARD PLANS", .utility), ("CREATE TABLE", .utility), ("CREATE TABLE AS", .utility),
            ("LISTEN", .utility), ("SELECT 0", .unknown), ("S", .unknown), ("", .unknown), ("7", .unknown),
        ]
    )
    func tag(_ tag: String, _ kind: StatementKind) {
        #expect(Self.kind(M.complete(tag)) == kind)
    }

    @Test("rows, or their description, tell a query from CREATE TABLE AS")
    func select() {
        #expect(Self.kind(Self.row + Self.row + M.complete("SELECT 2")) == .select)
        #expect(Self.kind(Self.description + M.complete("SELECT 0"), describes: true) == .select)
        #expect(Self.kind(M.complete("SELECT 40000")) == .utility)
        #expect(Self.kind(Self.noData + M.complete("SELECT 18446744073709551615"), describes: true) == .utility)
    }

    @Test("ROLLBACK TO SAVEPOINT has the tag of ROLLBACK, and ends no portal of before")
    func savepoint() {
        var play = Play(isMidstream: true)
        play.say(.client, M.query("begin"))
        play.say(.server, M.complete("BEGIN") + M.ready("T"))
        play.say(.client, M.bind(portal: "p", "old") + M.execute(portal: "p") + M.message("S"))
        play.say(.server, M.message("2") + Self.row + M.complete("SELECT 1") + M.ready("T"))
        play.say(.client, M.bind("rollback to a") + M.execute() + M.message("S"))
        play.say(.server, M.message("2") + M.complete("ROLLBACK") + M.ready("T"))
        #expect(play.sessions.openQueries(0).count == 1)
        #expect(!play.sink.log.contains { $0.hasPrefix("vanished") })
        // A whole one ends them: the server says that it is idle.
        play.say(.client, M.bind("rollback") + M.execute() + M.message("S"))
        play.say(.server, M.message("2") + M.complete("ROLLBACK") + M.ready())
        #expect(play.sessions.openQueries(0).count == 0)
        #expect(play.sink.log.contains { $0.hasPrefix("vanished") })
    }

    @Test("a query of unseen text whose portal is open counts when that ends")
    func portals() {
        for (end, expected) in [("ROLLBACK", true), ("COMMIT", false)] {
            var play = Play(isMidstream: true)
            play.say(.client, M.query("begin"))
            play.say(.server, M.complete("BEGIN") + M.ready("T"))
            play.say(.client, M.bind(portal: "p", "old") + M.execute(portal: "p") + M.message("S"))
            play.say(.server, M.message("2") + Self.row + Self.row + M.complete("SELECT 2") + M.ready("T"))
            #expect(play.sessions.openQueries(0).count == 1)
            play.say(.client, M.query(end.lowercased()))
            play.say(.server, M.complete(end) + M.ready())
            #expect(play.sessions.openQueries(0).count == 0)
            #expect(play.sink.log.contains { $0.hasPrefix("vanished") } == expected)
        }
    }
}
