// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestKit
import Testing

@testable import PgBouncer

struct OperatorFileTests {
    @Test func `what the operator says about users is found, in included files, too`() throws {
        let folder = try ScratchFolder()
        try folder.write(
            """
            ;; a comment
            %include \(folder.file("more.ini"))
            [databases]
            app = host=/run dbname=app
            forced = host=/run user='odd ''name' password='a b'
            asked = auth_user=asker host=/run
            [pgbouncer]
            admin_users = adm, root
            stats_users=stat
            auth_user = lookup
            max_user_connections = 30
            %include own.ini

            """,
            to: "main.ini"
        )
        try folder.write(
            "[users]\r\nann = pool_mode=session\r\nben =\r\n'c d' = max_user_connections=4\n",
            to: "more.ini"
        )
        try folder.write("[users]\nann = max_user_connections=1\n", to: "own.ini")
        let file = OperatorFile(path: folder.file("main.ini"), own: [folder.file("own.ini")])
        #expect(file.problem == nil)
        #expect(file.users["ann"] == UserSettings("pool_mode=session"), "our own file is none of the operator's")
        #expect(file.users["ben"] == UserSettings.none)
        #expect(file.users["c d"] == UserSettings("max_user_connections=4"))
        #expect(file.forced == ["odd 'name", "asker"])
        #expect(file.privileged == ["adm", "root", "stat", "lookup"])
        #expect(file.standard == 30)
        #expect(!file.isStale)
        try folder.write("[users]\nann = pool_mode=statement max_user_connections=7\n", to: "more.ini")
        #expect(file.isStale)
    }

    @Test func `a file that includes itself ends, and one that is missing is said`() throws {
        let folder = try ScratchFolder()
        try folder.write("%include loop.ini\n[users]\nann = pool_mode=session\n", to: "loop.ini")
        let file = OperatorFile(path: folder.file("loop.ini"), own: [])
        #expect(file.users.count == 1)
        #expect(OperatorFile(path: folder.file("none.ini"), own: []).problem?.contains("none.ini") == true)
    }

    @Test func `a line that cannot be repeated is none, and costs no other`() throws {
        let folder = try ScratchFolder()
        try folder.write("[users]\nann = pool_mode='a b'\nben = x=\u{0}\ncat = pool_size=2\n", to: "main.ini")
        let file = OperatorFile(path: folder.file("main.ini"), own: [])
        #expect(file.users["ann"] == .some(nil) && file.users["ben"] == .some(nil))
        #expect(file.users["cat"] == UserSettings("pool_size=2"))
    }

    @Test func `versions are told apart`() throws {
        let known = ["PgBouncer 1.18.0", "1.25.2/bouncer", "PgBouncer 1.26dev", "1.24"].map {
            PgBouncerVersion($0)?.description
        }
        #expect(known == ["1.18.0", "1.25.2", "1.26.0", "1.24.0"])
        #expect(PgBouncerVersion("PgBouncer") == nil && PgBouncerVersion("") == nil && PgBouncerVersion("1") == nil)
        #expect(PgBouncerVersion(1, 22, 1).breaksQueriedUsers && !PgBouncerVersion(1, 23, 1).breaksQueriedUsers)
        #expect(PgBouncerVersion(1, 23, 0).refusal != nil && PgBouncerVersion(1, 23, 1).refusal == nil)
        #expect(PgBouncerVersion(1, 23, 1).reloadRecyclesTLS && !PgBouncerVersion(1, 24, 0).reloadRecyclesTLS)
    }
}
