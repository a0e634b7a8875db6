// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestKit
import Testing

@testable import PgBouncer

struct IncludeFileTests {
    private static func settings(_ text: String) throws -> UserSettings { try #require(UserSettings(text)) }

    private static func sample() throws -> IncludeFile {
        IncludeFile(
            generation: 42,
            expires: 1_800_000_060,
            entries: [
                "ann": .init(
                    limit: try settings("pool_mode=session max_user_connections=5"),
                    release: try settings("pool_mode=session max_user_connections=20")
                ),
                "ben": .init(limit: nil, release: .none),
                "al@ice": .init(limit: try settings("max_user_connections=1"), release: .none),
            ],
            acknowledgement: "gen_42_7"
        )
    }

    @Test func `the file suffices to undo itself, and never resets the operator's settings`() throws {
        let text = String(decoding: try Self.sample().render(), as: UTF8.self)
        #expect(
            text == """
                ; lease gen=42 expires=1800000060 by=pgweir
                ; pgweir writes this file as a whole: changes by hand get lost. Without a renewed lease all limits are lifted.
                [users]
                ; release 'al@ice' = max_user_connections=0
                'al@ice' = max_user_connections=1
                ; release ann = pool_mode=session max_user_connections=20
                ann = pool_mode=session max_user_connections=5
                ; released
                ben = max_user_connections=0
                [databases]
                quota_ack = host=127.0.0.1 port=1 dbname=gen_42_7 pool_size=1

                """
        )
        #expect(!text.contains("[pgbouncer]"))
        let released = String(decoding: try Self.sample().released().render(), as: UTF8.self)
        #expect(released.contains("\nann = pool_mode=session max_user_connections=20\n") && !released.contains("=5"))
    }

    @Test func `what was written is read back`() throws {
        let file = try Self.sample()
        let reading = IncludeFile.parse(file.render())
        #expect(reading.file == file && reading.damage.isEmpty)
        #expect(IncludeFile.parse([]).isBlank && IncludeFile.parse(Array("\n \n".utf8)).isBlank)
    }

    @Test func `a file that was cut anywhere is never taken for whole, and never limits anybody more`() throws {
        let bytes = try Self.sample().render()
        for cut in 1..<bytes.count - 1 {
            let reading = IncludeFile.parse(Array(bytes[..<cut]))
            #expect(!reading.damage.isEmpty || reading.isBlank, "cut at \(cut)")
            // Whatever is left releases: no line of it limits.
            let again = IncludeFile.parse(reading.file.released().render())
            #expect(again.damage.isEmpty && again.file.limited.isEmpty)
        }
    }

    @Test func `bytes of any kind cost nothing but a complaint`() throws {
        var random = SplitMix64(seed: 8)
        let bytes = try Self.sample().render()
        for round in 0..<3000 {
            var noise = bytes
            if round % 3 == 0 {
                noise = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                    UInt8.random(in: .min ... .max, using: &random)
                }
            }
            for _ in 0..<Int.random(in: 1...8, using: &random) where !noise.isEmpty {
                noise[Int.random(in: 0..<noise.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            let reading = IncludeFile.parse(noise)
            let safe = IncludeFile.parse(reading.file.released().render())
            #expect(safe.damage.isEmpty && safe.file.limited.isEmpty, "what replaces it can be loaded")
        }
    }

    @Test func `a lease ends, and one that is too long is none`() throws {
        let file = try Self.sample()
        func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }
        #expect(file.isFresh(at(1_800_000_059)) && !file.isFresh(at(1_800_000_060)))
        #expect(!file.isFresh(at(1_799_000_000)), "a clock that was set back must not hold anybody for days")
        #expect(!file.isFresh(at(0)))
    }

    @Test(arguments: [
        (20, "max_user_connections=50", 1, 1, "max_user_connections=20"),
        (20, "max_user_connections=5 pool_mode=session", 1, 1, "max_user_connections=5 pool_mode=session"),
        (5, "pool_mode=session", 1, 1, "pool_mode=session max_user_connections=5"),
        (5, "max_user_connections=0", 2, 1, "max_user_connections=2"),
        (1, "pool_size=3", 4, 1, "pool_size=3 max_user_connections=1"),
        (1, "max_user_connections=-1", 1, 2, "max_user_connections=2"),
    ])
    func `a limit is never above the operator's, and keeps the rest of the line`(
        _ wanted: Int,
        _ baseline: String,
        _ instances: Int,
        _ floor: Int,
        _ line: String
    ) throws {
        let merged = UserSettings.merge(
            wanted: wanted,
            baseline: try Self.settings(baseline),
            default: nil,
            instances: instances,
            floor: floor
        )
        #expect(merged.text == line)
    }

    @Test(arguments: [
        ("ann", "1.18.0/bouncer", true), ("app_1.x-*", "1.18.0/bouncer", true), ("al@ice", "1.18.0/bouncer", false),
        ("al@ice", "1.24.1/bouncer", false), ("al@ice", "1.25.0/bouncer", true), ("o'neil", "1.25.0/bouncer", false),
        ("a\nb = max_user_connections=0", "1.25.0/bouncer", false), ("a\u{0}b", "1.25.0/bouncer", false),
        ("", "1.25.0/bouncer", false), ("*", "1.25.0/bouncer", false), ("a*", "1.18.0/bouncer", true),
        (String(repeating: "n", count: 64), "1.25.0/bouncer", false), ("ünal", "1.24.1/bouncer", false),
        ("ünal", "1.25.0/bouncer", true),
    ])
    func `a name is written only as this version can read it`(
        _ name: String,
        _ version: String,
        _ isWritten: Bool
    ) throws {
        let version = try #require(PgBouncerVersion(version))
        #expect((UserName.refusal(name, version: version) == nil) == isWritten)
    }
}
