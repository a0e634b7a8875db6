// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
import FoundationEssentials
import TestKit
import Testing

struct NormalizerTests {
    static func pattern(_ sql: String, escapes: Bool = false) -> String {
        var normalizer = Normalizer(hash: .standard)
        let bytes = Array(sql.utf8)
        guard let sketch = normalizer.sketch(bytes.rawSpan, from: 0, backslashEscapes: escapes) else { return "" }
        return String(
            decoding: normalizer.patternText(bytes.rawSpan, sketch),
            as: UTF8.self
        )
    }

    static func sketches(_ bytes: [UInt8]) -> [StatementSketch] {
        var normalizer = Normalizer(hash: .standard)
        var result: [StatementSketch] = []
        var start = 0
        while let sketch = normalizer.sketch(bytes.rawSpan, from: start) {
            result.append(sketch)
            start = max(start + 1, sketch.range.upperBound)
        }
        return result
    }

    static func sketch(_ sql: String) -> StatementSketch? { sketches(Array(sql.utf8)).first }

    /// `Fixtures/Golden/normalizer.tsv`: statement, tab, pattern; `\n` and `\t` stand for themselves.
    ///
    /// UPDATE_GOLDEN=1 rewrites it.
    @Test func `gives the patterns of the golden file`() throws {
        let path = Repository.root + "/Fixtures/Golden/normalizer.tsv"
        let lines = String(decoding: try Repository.read(path), as: UTF8.self).split(separator: "\n")
        #expect(lines.count > 60)
        var rewritten = ""
        for line in lines {
            let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
            let sql = String(parts[0].replacing("\\n", with: "\n").replacing("\\t", with: "\t"))
            let pattern = Self.pattern(sql)
            rewritten += "\(parts[0])\t\(pattern)\n"
            if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == nil {
                #expect(parts.count == 2 && pattern == String(parts[1]), "\(sql)")
            }
        }
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try Data(rewritten.utf8).write(to: URL(filePath: path))
        }
    }

    @Test(arguments: [
        ("select 1", StatementKind.select), ("  /* x */ (((select 1)))", .select),
        ("with a as (select 1) update t set b=1", .update),
        ("with recursive a(n) as (values (1)) select * from a", .select), ("VALUES (1)", .values), ("table t", .table),
        ("begin", .begin), ("start transaction", .begin), ("end", .commit), ("abort", .rollback),
        ("rollback to savepoint a", .savepoint), ("commit prepared 'x'", .utility),
        ("prepare transaction 'x'", .utility),
        ("prepare p(int) as select $1", .prepare), ("execute p(1)", .execute), ("deallocate all", .deallocateAll),
        ("deallocate prepare p", .deallocate), ("discard all", .discardAll), ("discard plans", .utility),
        ("explain analyze select 1", .explain), ("START_REPLICATION SLOT s LOGICAL 0/0", .replication),
        ("do $$begin end$$", .utility),
        ("fetch 5 in c", .fetch), ("copy t from stdin", .copy),
        ("merge into t using s on true when matched then delete", .merge),
    ])
    func `tells what a statement does`(_ sql: String, _ kind: StatementKind) {
        #expect(Self.sketch(sql)?.kind == kind)
    }

    @Test(arguments: [
        ("select 1", Decade.absent, Decade.absent), ("select 1 limit 10", .upTo10, .absent),
        ("select 1 limit 11 offset 0", .upTo100, .zero),
        ("select 1 limit $1 offset 2000000", .parameter, .over1000000),
        ("select (select 1 limit 5) from t", .absent, .absent),
        ("select 1 fetch first 500 rows only", .upTo1000, .absent), ("select 1 limit all", .absent, .absent),
        ("select 1 fetch next row only", .upTo10, .absent), ("select 1 offset (5)", .absent, .parameter),
    ])
    func `sorts LIMIT and OFFSET into decades`(_ sql: String, _ limit: Decade, _ offset: Decade) {
        let sketch = Self.sketch(sql)
        #expect(sketch?.limit == limit)
        #expect(sketch?.offset == offset)
        #expect(Self.sketch("select 1 limit 3")?.fingerprint == Self.sketch("select 1 limit 3000")?.fingerprint)
    }

    @Test func `splits a text at its semicolons and nowhere else`() {
        let sql =
            "select ';'; -- ;\n select $a$;$a$ ;; /* ; */ create rule r as on insert to t do also (select 1; select 2);"
            + "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3"
        let parts = Self.sketches(Array(sql.utf8))
        #expect(parts.map(\.kind) == [.select, .select, .utility, .utility, .select])
        for part in parts {
            let alone = String(decoding: Array(sql.utf8)[part.range], as: UTF8.self)
            #expect(Self.sketch(alone)?.fingerprint == part.fingerprint, "\(alone)")
        }
    }

    @Test func `names and bodies of prepared statements are found`() {
        let sql = Array("prepare \"My p\" (int, text) as select $1".utf8)
        let sketch = Self.sketches(sql)[0]
        #expect(String(decoding: sql[sketch.name], as: UTF8.self) == "\"My p\"")
        #expect(String(decoding: sql[sketch.body...], as: UTF8.self) == "select $1")
        let other = Array("deallocate prepare q".utf8)
        #expect(String(decoding: other[Self.sketches(other)[0].name], as: UTF8.self) == "q")
    }

    static let samples = [
        "select a, b from t where c = 5 and d in (1, 2, 3) order by e limit 7",
        "insert into t (a, b) values (1, 'x'), (2, 'y') on conflict (a) do update set b = excluded.b",
        "update \"T\" set a = a - 1, b = E'q\\'r' where c between -5 and .5e-3 and d = $$lit$$",
        "with x as (select * from y where z = any(array[1,2])) delete from w using x where w.i = x.i and v is not null",
    ]

    @Test(arguments: 0..<100)
    func `white space, comments and case change nothing`(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let sql = Self.samples[seed % Self.samples.count]
        var changed = ""
        var isQuoted = false
        for character in sql {
            if "'\"$".contains(character) { isQuoted.toggle() }
            if character == " ", !isQuoted {
                changed += [" ", "\n\t", " /* c /* d */ */ ", " -- x'\n"].randomElement(using: &random) ?? " "
            } else if !isQuoted, !sql.contains("$$"), !sql.contains("E'"), Bool.random(using: &random) {
                changed += character.uppercased()
            } else {
                changed.append(character)
            }
        }
        #expect(Self.sketch(changed)?.fingerprint == Self.sketch(sql)?.fingerprint, "\(changed)")
    }

    @Test(arguments: [
        "select 'CANARY'", "select 'CANARY", "select E'a\\'CANARY'", "select $x$CANARY$x$", "select $x$CANARY",
        "select U&'CANARY' uescape '!'",
        "select B'CANARY'", "select 'a'\n'CANARY'", "insert into t values (1,'CANARY'),(2,'x')",
        "/* CANARY */ select 1 -- CANARY",
        "select 'it''s CANARY'", "/* CANARY", "set password = 'CANARY'", "select N'CANARY', x'CANARY'",
    ])
    func `no literal reaches a pattern`(_ sql: String) {
        #expect(!Self.pattern(sql).lowercased().contains("canary"))
    }

    @Test func `backslashes escape where the server says so`() {
        #expect(Self.pattern(#"select 'a\', b"#) == "select ?, b")
        #expect(Self.pattern(#"select 'a\', b', c"#, escapes: true) == "select ?, c")
    }

    @Test(arguments: 0..<400)
    func `any bytes at all are survived, and equal patterns have equal fingerprints`(_ seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let pieces = [
            "'", "\"", "$$", "$a$", "/*", "*/", "--", "\n", "(", ")", "[", "]", ";", "E'", "U&'", "\\", "1e5", ".",
            "..", "-", "+-", "select ", "in ", "values ", "limit ", ",", "::", "begin atomic ", "\u{0}", "é",
        ]
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...60, using: &random) {
            if Int.random(in: 0..<8, using: &random) == 0 { bytes.append(UInt8.random(in: 0...255, using: &random)) }
            bytes += Array((pieces.randomElement(using: &random) ?? "").utf8)
        }
        var normalizer = Normalizer(hash: .standard)
        var start = 0
        while let sketch = normalizer.sketch(bytes.rawSpan, from: start) {
            let again = normalizer.sketch(Array(bytes[sketch.range]).rawSpan, from: 0)
            #expect(again?.fingerprint == sketch.fingerprint)
            _ = normalizer.patternText(bytes.rawSpan, sketch)
            start = max(start + 1, sketch.range.upperBound)
        }
    }

    @Test func `a list of a million elements has the pattern of a list of one`() {
        let long = "select * from t where a in (" + String(repeating: "12345, ", count: 1_000_000) + "1)"
        #expect(Self.sketch(long)?.fingerprint == Self.sketch("select * from t where a in (1)")?.fingerprint)
        let deep = String(repeating: "(", count: 1_000_000)
        #expect(Self.sketch(deep) != nil)
    }
}
