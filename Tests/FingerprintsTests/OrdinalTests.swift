// SPDX-License-Identifier: Apache-2.0
import Domain
import TestKit
import Testing

@testable import Fingerprints

/// Ordinals of ORDER BY, GROUP BY and DISTINCT ON belong to the pattern, other numbers do not.
///
/// What is an ordinal, PostgreSQL's own query identifier says: `Tests/Integration/test_ordinals.py` compares.
struct OrdinalTests {
    private static func pattern(_ sql: String) -> String {
        var normalizer = Normalizer(hash: .standard)
        let bytes = Array(sql.utf8)
        guard let sketch = normalizer.sketch(bytes.rawSpan, from: 0) else { return "" }
        return String(decoding: normalizer.patternText(bytes.rawSpan, sketch), as: UTF8.self)
    }

    @Test(arguments: [
        ("select a, b from t order by 2, 1 desc", "select a, b from t order by 2, 1 desc"),
        ("select a from t order by a, 1 nulls last limit 5", "select a from t order by a, 1 nulls last limit ?"),
        ("select a from t order by (1), ((2)) asc", "select a from t order by (1), ((2)) asc"),
        ("select a from t order by (1, 2)", "select a from t order by (?, ?)"),
        ("select a from t order by 1 + 1, -1, - 1, +1", "select a from t order by ? + ?, ?, ?, + ?"),
        (
            "select a from t order by 1::int, (1)::int, 1.0, 1e0, '1', $1",
            "select a from t order by ?::int, (?)::int, ?, ?, ?, ?"
        ),
        (
            "select a from t order by 1 is null, 1 between 1 and 2, 2",
            "select a from t order by ? is null, ? between ? and ?, 2"
        ),
        (
            "select a from t order by 1 collate \"C\", 1 at time zone 'x'",
            "select a from t order by ? collate \"C\", ? at time zone ?"
        ),
        ("select a from t order by 1 operator(pg_catalog.+) 1", "select a from t order by ? operator(pg_catalog.+) ?"),
        (
            "select a from t order by 1 using operator(pg_catalog.<), 2",
            "select a from t order by 1 using operator(pg_catalog.<), 2"
        ),
        ("select a from t order by 0, 1664, 1665, 99999999999999999999", "select a from t order by ?, 1664, ?, ?"),
        ("select a from t order by 0x1, 0b11, 0o7, 007, 1_0", "select a from t order by 1, 3, 7, 7, 10"),
        ("select a from t order by 1_, 1__0, 0x, 1a", "select a from t order by ?, ?, ?, ?"),
        (
            "select a, 5 from t group by 1, 2 having max(b) > 3 order by 1",
            "select a, ? from t group by 1, 2 having max(b) > ? order by 1"
        ),
        ("select a from t group by distinct 1, 2", "select a from t group by distinct 1, 2"),
        (
            "select a from t group by rollup(1, 2), cube (3, (4, 5)), 6",
            "select a from t group by rollup(1, 2), cube(3, (4, 5)), 6"
        ),
        (
            "select a from t group by grouping sets ((1, 2), (), 3, rollup(1))",
            "select a from t group by grouping sets ((1, 2), (), 3, rollup(1))"
        ),
        ("select a from t group by (1), (1, 2), (1) + 2", "select a from t group by (1), (1, 2), (?) + ?"),
        ("select a from t group by f(1, 2), (a + 1), 2", "select a from t group by f(?, ?), (a + ?), 2"),
        ("select distinct on (1, (2)) a, b from t", "select distinct on (1, (2)) a, b from t"),
        ("select a is distinct from 1 from t", "select a is distinct from ? from t"),
        (
            "select array_agg(a order by 1), f((a) order by 1), g(distinct a order by 1) from t",
            "select array_agg(a order by ?), f((a) order by ?), g(distinct a order by ?) from t"
        ),
        (
            "select rank() over (partition by 1 order by 1) from t window w as (order by 1)",
            "select rank() over (partition by ? order by ?) from t window w as (order by ?)"
        ),
        (
            "select mode() within group (order by 1) from t order by 1",
            "select mode() within group (order by ?) from t order by 1"
        ),
        (
            "select a from (select a from t order by 1 limit 3) s where b in (select c from u order by 2)",
            "select a from (select a from t order by 1 limit ?) s where b in (select c from u order by 2)"
        ),
        ("(select 1) union (select 2) order by 1", "(select ?) union (select ?) order by 1"),
        (
            "select a in ((select 1, 2) union (select 3, 4) order by 1, 2, 2)",
            "select a in ((select ?, ?) union (select ?, ?) order by 1, 2, 2)"
        ),
        (
            "select a from t group by 1 union select 1, 2 order by 1",
            "select a from t group by 1 union select ?, ? order by 1"
        ),
        (
            "insert into t select a from u order by 1 on conflict (a) do update set b = 1, c = 2",
            "insert into t select a from u order by 1 on conflict(a) do update set b = ?, c = ?"
        ),
        (
            "insert into t select a from u order by 1 returning 1, 2",
            "insert into t select a from u order by 1 returning ?, ?"
        ),
        (
            "with w as (select a from t order by 1) select a from w order by 1 for update",
            "with w as (select a from t order by 1) select a from w order by 1 for update"
        ),
        ("values (1, 2), (3, 4) order by 2", "values (?) order by 2"),
        ("table t order by 1", "table t order by 1"),
        (
            "select array(select a from t order by 1), exists (values (1) order by 1)",
            "select array(select a from t order by 1), exists (values (?) order by 1)"
        ),
        (
            "create view v as select a from t order by 1 with check option",
            "create view v as select a from t order by 1 with check option"
        ),
        (
            "select a from t order by case when a then 1 else 2 end, a in (1, 2), 3",
            "select a from t order by case when a then ? else ? end, a in (?), 3"
        ),
        (
            "select a from t order by 1 offset 2 fetch first 3 rows with ties",
            "select a from t order by 1 offset ? fetch first ? rows with ties"
        ),
    ])
    func `an ordinal stays, a constant does not`(sql: String, pattern: String) {
        #expect(Self.pattern(sql) == pattern)
        // A pattern is its own pattern.
        #expect(Self.pattern(pattern.replacing("?", with: "$1")) == pattern)
    }

    @Test func `two ordinals are two patterns, whatever was seen before`() {
        var fast = Normalizer(hash: .standard)
        var exact = Normalizer(hash: .standard)
        let forms = [
            "select a from t where b = 5 order by N", "select a from t group by M, N order by N desc, f(M)",
            "select distinct on (N) a from t order by (N), a in (1, 2, M)", "select a from t limit M; select 1",
            "select array_agg(a order by N) from t group by rollup(M, (N, 3))",
        ]
        var seen: [String: Fingerprint] = [:]
        for _ in 0..<3 {
            for form in forms {
                for ordinal in ["1", "2", "10", "1664", "1665", "5000", "1.5", "0x2"] {
                    for other in ["1", "7"] {
                        let text = form.replacing("N", with: ordinal).replacing("M", with: other)
                        let bytes = Array(text.utf8)
                        let sketch = fast.sketch(bytes.rawSpan, from: 0)
                        #expect(
                            sketch?.fingerprint == exact.exactSketch(bytes.rawSpan, from: 0)?.fingerprint,
                            "\(text)"
                        )
                        let pattern = Self.pattern(text)
                        #expect(seen[pattern, default: sketch?.fingerprint ?? .unknown] == sketch?.fingerprint)
                        seen[pattern] = sketch?.fingerprint
                    }
                }
            }
        }
        #expect(Set(seen.values.map(\.low)).count == seen.count)
    }

    @Test func `more ordinals than the memo notes are told apart all the same`() {
        var fast = Normalizer(hash: .standard)
        for count in [8, 63, 64, 65, 100] {
            let list = (1...count).map(String.init).joined(separator: ", ")
            var patterns: Set<UInt64> = []
            for last in ["7", "8", "7", "9999"] {
                let bytes = Array("select a from t group by \(list), \(last)".utf8)
                patterns.insert(fast.sketch(bytes.rawSpan, from: 0)?.fingerprint.low ?? 0)
            }
            #expect(patterns.count == 3, "\(count)")
        }
    }
}
