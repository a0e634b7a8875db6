// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Explain

/// What a statement is said to use: a name that is missed here reaches the server unjudged.
struct StatementWalkTests {
    private func statement(_ sql: String) throws -> ParsedStatement {
        guard case .plan(let statement) = LocalParser().parse(ParseRequest(text: Array(sql.utf8))) else {
            throw SyntaxError.notParsed(reason: sql)
        }
        return statement
    }

    @Test(
        arguments: [
            "select from t1, t2 x join t3 on true natural join t4",
            "select from (select from t1) x, lateral (select from t2) y",
            "delete from t1 using t2, (select from t3) x",
            "update t1 set a = (select b from t2) from t3 join t4 using (a)",
            "insert into t1 select from t2 on conflict (a) do update set a = (select b from t3)",
            "merge into t1 using t2 on true when matched and exists (select from t3) then update set a = (select b from t4)",
            "(with x as (select from t1) select from x) union (with y as (select from t2) select from y) except select from t3",
            "with t1 as (select from t1) select from t1",
            "with recursive t2 as (select from t3 union select from t2) select from t1",
            "with x as (insert into t1 select from t2 returning (select a from t3)) select from x",
            "select from t1 where a in (select b from t2 order by (select c from t3) limit (select 1 from t4))",
            "select sum(a) filter (where exists (select from t1)) over (partition by (select 1 from t2) order by (select 1 from t3))",
            "values ((select 1 from t1)), ((select 2 from t2))", "table t1",
            "select from only t1, t2 tablesample system ((select 1 from t3))",
            "select case when exists (select from t1) then (select 1 from t2) end, array(select 1 from t3), row((select 1 from t4))",
            "select from rows from (unnest((select a from t1)), unnest((select a from t2)))",
            "select from t1 for update of t1",
            "select coalesce((select 1 from t1)), greatest((select 1 from t2)), (array[(select 1 from t3)])[(select 1 from t4)]",
            "select xmlelement(name a, (select 1 from t1)), xmlforest((select 2 from t2) as b)",
            "copy (select from t1) to stdout", "declare c cursor for select from t1",
            "create table x as select from t1",
        ]
    )
    func `every relation that is read or written is named`(sql: String) throws {
        let names = Set(try statement(sql).names.relations.map(\.name)).filter { $0.hasPrefix("t") }
        let expected = Set(["t1", "t2", "t3", "t4"].filter { sql.contains($0) })
        // A WITH clause's name is no relation, but where it hides one that it reads itself.
        #expect(names == (sql.hasPrefix("with recursive t2") ? ["t1", "t3"] : expected), "\(names)")
    }

    @Test(
        arguments: [
            "select f(1)", "select from f(1)", "select 1 order by f(1)", "select from t limit f(1)",
            "select from t offset f(1)",
            "select from t group by rollup (f(1))", "select from t window w as (order by f(1) rows f(2) preceding)",
            "select count(*) filter (where f(1)) from t",
            "select percentile_disc(f(1)) within group (order by a) from t",
            "insert into t values (f(1))", "insert into t(a[f(1)]) values (2)", "update t set (a, b) = (f(1), 2)",
            "delete from t where f(1) returning a", "delete from t returning f(1)", "select from t join u on f(1)",
            "insert into t values (1) on conflict (f(a)) do nothing",
            "insert into t values (1) on conflict (a) where f(a) do nothing",
            "insert into t values (1) on conflict (a) do update set b = 2 where f(1)", "select (f(1)).a",
            "select (f(1))[2]",
            "select array[f(1)], row(f(1)), coalesce(f(1)), nullif(f(1), 2)", "select a between f(1) and 2 from t",
            "select case f(1) when 2 then 3 end", "select from t tablesample system (f(1)) repeatable (2)",
            "with x as (select f(1)) select from x", "select f(1)::int, cast(f(1) as int), f(1) collate \"C\"",
            "select distinct on (f(1)) a from t", "select from xmltable('/' passing f(1) columns a int)",
            "values (1), (f(2))",
            "merge into t using u on true when matched and f(1) then do nothing",
            "select xmlserialize(content f(1) as text)",
            "select from (values (f(1))) x", "select a from t union select f(1)", "select 1 where (1, f(2)) = (3, 4)",
            "select x.a = any (array[f(1)]) from t x", "select f(a => 1)", "select g(variadic f(1))", "select s.f(1)",
        ]
    )
    func `every function that is called is named`(sql: String) throws {
        #expect(try statement(sql).names.functions.contains { $0.name == "f" })
    }

    @Test(
        arguments: [
            ("select 1 operator(s.+) 2", "+"), ("select a from t order by a using >", ">"),
            ("select 1 where a in (1)", "="),
            ("select a like 'x' from t", "~~"), ("select a <@ all (array[1]) from t", "<@"), ("select - a from t", "-"),
            ("select a between 1 and 2 from t", "<="), ("select 1 = any (select 2)", "="),
            ("select (1, 2) < (3, 4)", "<"),
        ]
    )
    func `every operator that is meant is named`(sql: String, symbol: String) throws {
        #expect(try statement(sql).names.operators.contains { $0.name == symbol })
    }

    @Test(
        arguments: [
            "select a::d from t", "select cast(a as d[]) from t", "select d 'x'", "select null::d",
            "select from json_to_recordset(a) as x(b d)", "select from xmltable('/' passing a columns b d)",
            "select xmlserialize(content a as d)", "select s.d 'x'", "select a::d(3) from t",
        ]
    )
    func `every type is named`(sql: String) throws {
        #expect(try statement(sql).names.types.contains { $0.name == "d" })
    }

    @Test func `sub-queries that multiply what they compute are refused, long chains that do not are not`() throws {
        func nested(_ levels: Int, _ expression: String) -> String {
            (0..<levels).reduce("select a as c from t") { inner, _ in "select \(expression) as c from (\(inner)) x" }
        }
        #expect(try statement(nested(20, "c + c")).refusal?.check == .size)
        #expect(try statement(nested(40, "c + 1")).refusal == nil)
        let chain = (1..<20).map { "w\($0) as (select c || c as c from w\($0 - 1))" }.joined(separator: ", ")
        #expect(try statement("with w0 as (select a as c from t), \(chain) select * from w19").refusal?.check == .size)
    }

    @Test(
        arguments: [
            ("public", ["public"]), ("\"$user\", public", ["ann", "public"]), ("A, \"B\"\"c\" ,d", ["a", "B\"c", "d"]),
            ("", []),
            ("$user", ["ann"]),
        ]
    )
    func `a search_path is read as PostgreSQL reads it`(value: String, expected: [String]) {
        #expect(SearchPath.names(value, user: "ann") == expected)
    }

    @Test func `what is no search_path is none`() {
        for value in ["a b", "a,", ",", "\"a", "a,,b", "\u{F955C}, public", "public, \"caf\u{FFFD}\"", "\u{E0B1}"] {
            #expect(SearchPath.names(value, user: nil) == nil, "\(value)")
        }
        #expect(SearchPath.effective(["a", "pg_temp"]) == ["pg_catalog", "a"])
        #expect(SearchPath.effective(["a", "pg_catalog"]) == ["a", "pg_catalog"])
    }
}
