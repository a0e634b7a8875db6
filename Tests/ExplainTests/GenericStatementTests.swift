// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Testing

@testable import Explain

/// The rewriting rules, one line each: what the statement is, and what the server is asked.
struct GenericStatementTests {
    private let explainer = Explainer(Explainer.Options(parameters: ""))

    private func generic(_ sql: String, escapes: Bool = false) throws -> String? {
        let question = ParseRequest(text: Array(sql.utf8), backslashEscapes: escapes)
        guard case .plan(let statement) = try explainer.target(of: question) else { return nil }
        return statement.text
    }

    @Test(
        arguments: [
            ("select * from t where a = 5", "select * from t where a =  ($1::pg_catalog.int4)"),
            (
                "select -5, - 7, 3000000000, 1.5, 1e3",
                "select  ($1::pg_catalog.int4),  ($2::pg_catalog.int4),  ($3::pg_catalog.int8),  ($4::pg_catalog.numeric),  ($5::pg_catalog.numeric)"
            ),
            ("select 'x', E'a\\'b', $q$d$q$", "select  $1,  $2,  $3"),
            ("select b'101', x'ff'", "select  ($1::pg_catalog.\"bit\"),  ($2::pg_catalog.\"bit\")"),
            ("select date '2026-01-01'", "select  CAST($1 AS date )"),
            (
                "select interval '1' day to second(3), 2",
                "select  CAST($1 AS interval   day to second(3)),  ($2::pg_catalog.int4)"
            ),
            ("select interval '1 day'", "select  CAST($1 AS interval  )"),
            ("select '1'::numeric(3,2), cast('x' as text)", "select  $1::numeric(3,2), cast( $2 as text)"),
            ("select a from t order by 1, a + 1", "select a from t order by 1, a +  ($1::pg_catalog.int4)"),
            ("select a, 2 from t group by 1", "select a,  ($1::pg_catalog.int4) from t group by 1"),
            ("select distinct on (1) a from t", "select distinct on (1) a from t"),
            (
                "select a, b from t group by (1, 2), rollup((1), 2), grouping sets ((1, 2), ()), (a, b)",
                "select a, b from t group by (1, 2), rollup((1), 2), grouping sets ((1, 2), ()), (a, b)"
            ),
            (
                "select a from t group by row(1, 2)",
                "select a from t group by row( ($1::pg_catalog.int4),  ($2::pg_catalog.int4))"
            ),
            (
                "select a from t order by (1), (1, 2)",
                "select a from t order by (1), ( ($1::pg_catalog.int4),  ($2::pg_catalog.int4))"
            ),
            (
                "select array_agg(a order by 1), rank() over (partition by 2 order by 3) from t",
                "select array_agg(a order by  ($1::pg_catalog.int4)), rank() over (partition by  ($2::pg_catalog.int4) order by  ($3::pg_catalog.int4)) from t"
            ),
            ("select a from t limit 10 offset 20", "select a from t limit 10 offset 20"),
            (
                "select true, false, null from t where a = true and b is not distinct from null",
                "select  ($1::pg_catalog.bool),  ($2::pg_catalog.bool),  $3 from t where a = true and b is not distinct from null"
            ),
            (
                "select now(), current_timestamp(3) from t where a > now() and b < current_date",
                "select  ($1::pg_catalog.timestamptz),  ($2::pg_catalog.timestamptz) from t where a > now() and b < current_date"
            ),
            ("select array[]::text[], array[array[]]", "select  $1::text[], array[ $2]"),
            ("select extract('year' from a) from t", "select extract(year from a) from t"),
            (
                "select a from t limit 10 + 1 offset (select 3)",
                "select a from t limit  ($1::pg_catalog.int4) +  ($2::pg_catalog.int4) offset (select  ($3::pg_catalog.int4))"
            ),
            ("update t set (a, b) = (1, 'x')", "update t set (a, b) = ( ($1::pg_catalog.int4),  $2)"),
            (
                "select 1 union (with x as (select 2) select 3 from x)",
                "select  ($1::pg_catalog.int4) union (with x as (select  ($2::pg_catalog.int4)) select  ($3::pg_catalog.int4) from x)"
            ),
            (
                "select extract(year from now()), a from t",
                "select extract(year from  ($1::pg_catalog.timestamptz)), a from t"
            ),
            ("select $2 + 1", "select $2 +  ($3::pg_catalog.int4)"),
            ("declare c cursor for select 1", "select  ($1::pg_catalog.int4)"),
            ("create table x as select 2 with no data", "select  ($1::pg_catalog.int4)"),
            ("create materialized view v as (select 2)", "(select  ($1::pg_catalog.int4))"),
            ("select 1 into x from t", "select  ($1::pg_catalog.int4)  from t"),
            ("copy (select 1) to stdout", "select  ($1::pg_catalog.int4)"),
            ("copy s.t (a, b) to stdout", "SELECT * FROM s.t"),
            ("explain analyze select 1", "select  ($1::pg_catalog.int4)"),
            ("explain (analyze, buffers) select 1", "select  ($1::pg_catalog.int4)"),
        ]
    )
    func `literals become typed parameters where that means the same`(sql: String, expected: String) throws {
        #expect(try generic(sql) == expected)
    }

    @Test(
        arguments: [
            "begin", "vacuum t", "create table t()", "explain select 1", "prepare p as select 1", "copy t from stdin",
            "call f()", "do 'x'", "fetch 5 from c", "set x to 1",
        ]
    )
    func `what the planner has no price for is not asked`(sql: String) throws { #expect(try generic(sql) == nil) }

    @Test(
        arguments: [
            "select 1; select 2", "", "selekt", "analyze select 1", "(analyze) select 1", "select 'a",
            "select 1 /* unfinished",
        ]
    )
    func `what is not one statement is refused`(sql: String) throws {
        if let text = try? generic(sql) { #expect(!text.lowercased().contains("analyze"), "\(text)") }
    }

    @Test(
        arguments: [
            ("insert into t values (1) on conflict (a) where b > 3 do nothing", SafetyChecks.Name.literals),
            ("with recursive t(n) as (select 1) cycle n set c to 'x' default 'y' using p select * from t", .literals),
            ("select a::int[3] from t", .literals), ("select a::numeric(3, 1.5) from t", .literals),
            ("delete from t where current of c", .syntax), ("select * from current_date", .constants),
            ("select make_interval()", .constants), ("select row()", .constants), ("select * from pi()", .constants),
        ]
    )
    func `what would leave a constant to the planner is refused`(sql: String, check: SafetyChecks.Name) throws {
        #expect(throws: PricingError.self) { try generic(sql) }
        do throws(PricingError) {
            _ = try explainer.target(of: ParseRequest(text: Array(sql.utf8)))
        } catch {
            guard case .unsafe(let finding) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(finding.check == check)
        }
    }

    @Test func `backslash strings of a session with the old setting mean the same`() throws {
        #expect(try generic("select 'a\\'; drop table t; --'", escapes: true) == "select  $1")
    }

    @Test func `nothing that nests deep is given to the parser, and nothing traps`() {
        for sql in [
            "select " + Array(repeating: "1", count: 100_000).joined(separator: "+"),
            "select " + String(repeating: "(", count: 60_000) + "1",
            "select " + String(repeating: "case when true then ", count: 20_000),
            "select " + Array(repeating: "1", count: 1900).joined(separator: "+"),
            String(repeating: "[", count: 60_000), String(repeating: "\u{FF}", count: 1000),
        ] {
            _ = try? generic(sql)
        }
    }

    @Test func `errors of the server lead to another form, and not in a circle`() throws {
        let tokens: [String] = ["42P18", "42803", "42P08", "42725", "42883", "42804"]
        for first in tokens {
            var style = GenericStatement.Style()
            var seen: Set<GenericStatement.Style> = [style]
            let text = Array("select concat('a', 1) group by 'b'".utf8)
            guard case .plan(let statement) = LocalParser().parse(ParseRequest(text: text)) else {
                Issue.record("not parsed")
                return
            }
            for _ in 0..<10 {
                style = StatementRepair.next(after: style, state: first, reason: "parameter $2", of: statement)
                if !seen.insert(style).inserted { break }
            }
            #expect(seen.count < 5)
        }
    }

    @Test func `a plan tells cost, rows below a write, and tables`() throws {
        let json = """
            [{"Plan": {"Node Type": "ModifyTable", "Total Cost": 12.5, "Plan Rows": 0, "Plan Width": 0, "Relation Name": "t",
            "Schema": "s", "Plans": [{"Node Type": "Seq Scan", "Total Cost": 9, "Plan Rows": 7, "Plan Width": 4,
            "Relation Name": "t", "Schema": "s"}]}}]
            """
        let plan = try #require(Plan(json: json))
        #expect(plan.cost == 12.5 && plan.rows == 7 && plan.width == 4)
        #expect(plan.tables == ["s.t"] && plan.shape == "ModifyTable > Seq Scan")
        for text in ["", "[]", "{}", "[{\"Plan\": {}}]", "[{\"Plan\": {\"Total Cost\": \"x\"}}]", "nonsense"] {
            #expect(Plan(json: text) == nil)
        }
    }

    @Test func `a change of a table touches its prices, one of a database all of them`() {
        var book = ChangeBook()
        var price = StoredPrice(
            key: Fingerprint(high: 1, low: 1),
            fingerprint: .unknown,
            pattern: "",
            database: "shop",
            method: .generic,
            cost: .zero,
            priced: .epoch
        )
        price.tables = ["public.item"]
        book.index(price)
        let second: Int64 = 1_000_000_000
        book.note(PlanChange(database: "shop", pattern: Array("create index on \"item\"(a)".utf8)), at: 0)
        #expect(book.due(at: second).isEmpty)
        #expect(book.due(at: 3 * second) == [price.key])
        #expect(book.due(at: 31 * second) == [price.key])
        book.note(PlanChange(database: "crm", pattern: Array("truncate item".utf8)), at: 40 * second)
        #expect(book.due(at: 60 * second).isEmpty)
        book.note(PlanChange(database: "shop", pattern: Array("vacuum".utf8)), at: 200 * second)
        #expect(book.due(at: 203 * second) == [price.key])
    }
}
