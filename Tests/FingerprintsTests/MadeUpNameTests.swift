// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
import FoundationEssentials
import TestKit
import Testing

/// Names that programs make up make no patterns.
struct MadeUpNameTests {
    /// `@` stands for the name, `#` for what separates words.
    private static let forms = [
        "SAVEPOINT#@", "RELEASE#@", "RELEASE#SAVEPOINT#@", "ROLLBACK#TO#@", "ROLLBACK#TO#SAVEPOINT#@",
        "ROLLBACK#WORK#TO#@", "ROLLBACK#TRANSACTION#TO#SAVEPOINT#@", "DECLARE#@#CURSOR#FOR#SELECT#a#FROM#t",
        "DECLARE#@#NO#SCROLL#CURSOR#WITH#HOLD#FOR#VALUES#(1)", "FETCH#@", "FETCH#FROM#@", "FETCH#5#FROM#@",
        "FETCH#ALL#IN#@", "FETCH#NEXT#@", "FETCH#FORWARD#ALL#FROM#@", "FETCH#ABSOLUTE#-1#FROM#@", "MOVE#@",
        "MOVE#BACKWARD#7#FROM#@", "CLOSE#@", "DEALLOCATE#@", "DEALLOCATE#PREPARE#@", "PREPARE#@#AS#SELECT#1",
        "PREPARE#@#(int)#AS#SELECT#$1", "LISTEN#@", "UNLISTEN#@", "NOTIFY#@", "NOTIFY#@#,#'x'", "SET#ROLE#@",
        "SET#SESSION#AUTHORIZATION#@", "SET#LOCAL#search_path#=#@", "SET#search_path#TO#@",
        "UPDATE#t#SET#a#=#1#WHERE#CURRENT#OF#@", "DELETE#FROM#t#WHERE#CURRENT#OF#@",
        "EXPLAIN#DECLARE#@#CURSOR#FOR#SELECT#1",
    ]

    /// For temporary tables: `@` is the part that changes.
    private static let temporaries = [
        "CREATE#TEMP#TABLE#tmp_@#(a#int)", "CREATE#TEMPORARY#TABLE#IF#NOT#EXISTS#x_@#AS#SELECT#1",
        "CREATE#LOCAL#TEMP#VIEW#v_@#AS#SELECT#1", "INSERT#INTO#tmp_@#(a)#VALUES#(1)",
        "INSERT#INTO#pg_temp.x_@#VALUES#(1)", "SELECT#*#FROM#t,#tmp_@#WHERE#tmp_@.a#=#t.a",
        "SELECT#x#INTO#TEMP#y_@#FROM#t", "UPDATE#\"Temp-@\"#SET#a#=#1", "DELETE#FROM#temp_@#USING#_tmp_@_x",
        "DROP#TABLE#IF#EXISTS#a,#tmp_@", "TRUNCATE#public.tmp_@", "COPY#tmp_@#FROM#STDIN", "ANALYZE#tmp_@#(a)",
        "CREATE#INDEX#tmp_@_i#ON#tmp_@#(a)", "SELECT#U&\"tmp_@\".a#FROM#U&\"tmp_@\"",
        "MERGE#INTO#t#USING#tmp@#ON#true#WHEN#MATCHED#THEN#DELETE",
    ]

    private static let words = [
        "select", "savepoint", "prepare", "transaction", "next", "all", "from", "to", "order", "work", "cursor",
        "default",
    ]

    /// A name as drivers and people write them; reserved words in quotes.
    private static func name(_ random: inout SplitMix64) -> String {
        let number = Int.random(in: 0...1 << 40, using: &random)
        switch Int.random(in: 0..<9, using: &random) {
        case 0: return "s\(number)_x\(number % 97)"
        case 1: return "_django_curs_\(number)_sync_\(number % 977)"
        case 2: return "\"\(words.randomElement(using: &random) ?? "a")\""
        case 3: return "\"Strange \"\"name\"\" \(number) ; -- /* \""
        case 4: return "U&\"d\\0061t\(number)\""
        case 5: return "U&\"x!0041\(number)\" UESCAPE '!'"
        case 6: return "наименование\(number)"
        case 7: return "s$\(number)"
        default: return ["savepoint_", "next", "prepare", "transaction", "work"].randomElement(using: &random) ?? "a"
        }
    }

    private static func counter(_ random: inout SplitMix64) -> String {
        let number = UInt64.random(in: .min ... .max, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return String(number % 10)
        case 1: return String(number)
        case 2: return String(1900 + number % 200)
        default: return "1" + String(number | 0xFFFF, radix: 16)
        }
    }

    private static func blank(_ random: inout SplitMix64) -> String {
        [" ", "  ", "\n", "\t", " /* c */ ", " --x\n", "/**/"].randomElement(using: &random) ?? " "
    }

    private static func write(_ form: String, _ name: String, _ random: inout SplitMix64) -> String {
        let isMixed = Bool.random(using: &random)
        var text = ""
        for (index, part) in form.split(separator: "@", omittingEmptySubsequences: false).enumerated() {
            if index > 0 { text += name }
            for character in part {
                let isLower = isMixed && Bool.random(using: &random) && !form.contains("\"")
                text += character == "#" ? blank(&random) : isLower ? character.lowercased() : String(character)
            }
        }
        return text
    }

    private static var seed: UInt64 {
        ProcessInfo.processInfo.environment["PGWEIR_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...1 << 32)
    }

    private static func sweep(_ forms: [String], _ part: (inout SplitMix64) -> String) {
        let seed = seed
        var random = SplitMix64(seed: seed)
        var normalizer = Normalizer(hash: .standard)
        let rounds = ProcessInfo.processInfo.environment["PGWEIR_LONG"] == "1" ? 5000 : 60
        for form in forms {
            let plain = form.replacing("#", with: " ").replacing("@", with: "1")
            guard let expected = NormalizerTests.sketch(plain) else {
                Issue.record("\(plain) has no sketch")
                continue
            }
            for _ in 0..<rounds {
                let name = part(&random)
                let ahead = ["", ";", "/* x */"].randomElement(using: &random) ?? ""
                let text =
                    ahead + write(form, name, &random) + (["", ";", "; select 1"].randomElement(using: &random) ?? "")
                let bytes = Array(text.utf8)
                guard let sketch = normalizer.sketch(bytes.rawSpan, from: 0) else {
                    Issue.record("\(text) has no sketch, seed \(seed)")
                    continue
                }
                let exact = normalizer.exactSketch(bytes.rawSpan, from: 0)
                #expect(sketch.fingerprint == expected.fingerprint, "\(text.debugDescription), seed \(seed)")
                #expect(exact?.fingerprint == expected.fingerprint, "\(text.debugDescription), seed \(seed)")
                let pattern = String(decoding: normalizer.patternText(bytes.rawSpan, sketch), as: UTF8.self)
                #expect(pattern == NormalizerTests.pattern(plain), "\(text.debugDescription), seed \(seed)")
                // A pattern is its own pattern: price files name statements by it.
                #expect(NormalizerTests.pattern(pattern) == pattern, "\(pattern)")
            }
        }
    }

    @Test func `statements that name something for one use have one pattern each`() {
        Self.sweep(Self.forms, Self.name)
    }

    @Test func `statements on temporary tables with a counter have one pattern each`() {
        Self.sweep(Self.temporaries, Self.counter)
    }

    @Test(arguments: [
        ("select a from orders_2024", "select a from orders_2025"), ("drop table t_1", "drop table t_2"),
        ("declare c cursor for select 1, 2", "declare c cursor for select 1"), ("close all", "close \"all\""),
        ("unlisten *", "unlisten a"), ("deallocate all", "deallocate \"all\""), ("set a = 1", "set b = 1"),
        ("set a to default", "set a to b"), ("set local a = 1", "set a = 1"), ("rollback", "rollback to a"),
        ("prepare transaction 'x'", "prepare x as select 1"), ("fetch all from c", "fetch next from c"),
        ("select temp_1 from sensors", "select temp_2 from sensors"), ("select tmp_1(5)", "select tmp_2(5)"),
        ("select a from templates_1", "select a from templates_2"),
        ("select temp, a1 from t", "select temp, a2 from t"),
        ("execute report", "execute refresh"),
        ("select 1 from temp t1 where t1.a = 1", "select 1 from temp t2 where t1.a = 1"),
        ("savepoint a", "release a"), ("listen a", "notify a"), ("move a", "fetch a"),
        ("select a from attempt_1", "select a from attempt_2"),
        ("select current, a1 from t", "select current, a2 from t"),
    ])
    func `what people name keeps its pattern`(_ first: String, _ second: String) {
        #expect(NormalizerTests.sketch(first)?.fingerprint != NormalizerTests.sketch(second)?.fingerprint)
    }

    @Test func `the session's logic still has the names`() {
        for (sql, name) in [
            ("prepare \"P 1\" as select 1", "\"P 1\""), ("deallocate prepare p_7", "p_7"), ("execute p_7(1)", "p_7"),
        ] {
            let bytes = Array(sql.utf8)
            var normalizer = Normalizer(hash: .standard)
            for _ in 0..<3 {
                let sketch = normalizer.sketch(bytes.rawSpan, from: 0)
                #expect(sketch.map { String(decoding: bytes[$0.name], as: UTF8.self) } == name)
            }
        }
    }
}
