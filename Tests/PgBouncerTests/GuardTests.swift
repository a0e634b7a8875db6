// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestKit
import Testing

@testable import PgBouncer

struct GuardTests {
    private static let limited = IncludeFile(
        generation: 3,
        expires: 1000,
        entries: [
            "ann": .init(limit: UserSettings.none.limited(to: 2), release: UserSettings.none.limited(to: 20)),
            "ben": .init(limit: nil, release: .none),
        ],
        acknowledgement: "gen_3_1"
    )

    private func at(_ second: Int64) -> Timestamp { Timestamp(nanoseconds: second * 1_000_000_000) }

    @Test func `limits hold until their lease ends, and are lifted then`() throws {
        let folder = try ScratchFolder()
        try folder.write(String(decoding: Self.limited.render(), as: UTF8.self), to: "limits")
        try folder.write("server_lifetime = 5\n", to: "globals")
        var `guard` = Guard(
            file: folder.file("limits"),
            globals: folder.file("globals"),
            pidFiles: [folder.file("pid")]
        )
        #expect(try `guard`.check(now: at(999)) == .fresh(until: at(1000)))
        #expect(!folder.text("globals").isEmpty, "a drain goes on")
        #expect(try `guard`.check(now: at(1000)) == .released(users: ["ann"]))
        #expect(folder.text("globals").isEmpty)
        let left = IncludeFile.parse(Array(folder.text("limits").utf8))
        #expect(left.damage.isEmpty && left.file.entries == Self.limited.released().entries)
        #expect(folder.text("limits").contains("\nann = max_user_connections=20\n"))
        #expect(try `guard`.check(now: at(1001)) == .empty)
    }

    @Test func `all are released at once when that is wanted, and for a clock that jumped`() throws {
        let folder = try ScratchFolder()
        for (second, release) in [(990, true), (-100_000, false)] as [(Int64, Bool)] {
            try folder.write(String(decoding: Self.limited.render(), as: UTF8.self), to: "limits")
            var `guard` = Guard(file: folder.file("limits"))
            #expect(try `guard`.check(now: at(second), release: release) == .released(users: ["ann"]))
        }
    }

    @Test func `a missing file is made, so that PgBouncer can start`() throws {
        let folder = try ScratchFolder()
        let path = folder.file("limits")
        var `guard` = Guard(file: path, globals: folder.file("globals"))
        #expect(try `guard`.check(now: at(1)) == .created)
        #expect(try `guard`.check(now: at(1)) == .empty)
        #expect(FileManager.default.fileExists(atPath: folder.file("globals")))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o640)
        #expect(throws: PgBouncerError.self) {
            var `guard` = Guard(file: folder.file("nowhere/limits"))
            _ = try `guard`.check(now: at(1))
        }
    }

    @Test(arguments: [
        "ann = max_user_connections=1\n", "; lease gen=1 expires=2000 by=pgweir\n[users]\nann = max_user_connections=1",
        "[users]\nann = nonsense nonsense\n", "[users]\nann = max_user_connections=1\u{0}\n",
        "[pgbouncer]\n[users]\nann = pool_size=2 max_user_connections=1\nzoë = x=1\n",
    ])
    func `a damaged file is replaced by one that releases whom it names`(text: String) throws {
        let folder = try ScratchFolder()
        try folder.write(text, to: "limits")
        var `guard` = Guard(file: folder.file("limits"))
        guard case .damaged(let users) = try `guard`.check(now: at(1)) else {
            Issue.record("it was taken for whole")
            return
        }
        #expect(users == ["ann"])
        let left = IncludeFile.parse(Array(folder.text("limits").utf8))
        #expect(left.damage.isEmpty && left.file.limited.isEmpty && Array(left.file.entries.keys) == users)
        #expect(try `guard`.check(now: at(1)) == .empty)
    }

    @Test func `no process but PgBouncer is sent a signal`() throws {
        let folder = try ScratchFolder()
        try folder.write(String(decoding: Self.limited.render(), as: UTF8.self), to: "limits")
        // Ours: SIGHUP would end it.
        try folder.write("\(ProcessInfo.processInfo.processIdentifier)\n", to: "pid")
        var `guard` = Guard(file: folder.file("limits"), pidFiles: [folder.file("pid"), folder.file("none")])
        #expect(try `guard`.check(now: at(1000)) == .released(users: ["ann"]))
        for text in ["", "nonsense", "1", "-1", "99999999999999999999"] {
            try folder.write(text, to: "pid")
            #expect(throws: PgBouncerError.self) { try PidFile(path: folder.file("pid")).reload() }
        }
    }
}
