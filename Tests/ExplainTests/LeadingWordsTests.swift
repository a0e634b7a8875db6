// SPDX-License-Identifier: Apache-2.0
import Costs
import Fingerprints
import Testing

@testable import Explain

/// Statements whose syntax libpg_query 15 does not know.
struct LeadingWordsTests {
    private static func leading(_ sql: String) -> UtilityClass? {
        let text = Array(sql.utf8)
        let leading = LeadingWords(text, LexicalTokens.scan(text))
        return UtilityClass(words: leading.words, hasOptions: leading.hasOptions)
    }

    @Test(
        arguments: [
            ("create table t (a int, b int generated always as (a + 1) virtual)", "definition"),
            ("alter table t alter constraint c not enforced", "definition"),
            ("alter table t split partition p into (partition q for values in (1))", "definition"),
            ("create temp table t (a int not null no inherit, constraint c not null a)", "definition"),
            ("create unique index on only t (a) nulls not distinct including all of it", "maintenance"),
            ("create or replace function f() returns int begin atomic select json_table(1); end", "definition"),
            ("grant maintain on everything to x", "definition"),
            ("vacuum (buffer_usage_limit '1MB', only_new) t", "maintenance"),
            ("repack t", "maintenance"), ("copy t from stdin (on_error ignore, what is new)", "instant"),
            ("/* c */ set new syntax", "instant"),
        ]
    )
    func `newer syntax has the price of its kind`(sql: String, utility: String) throws {
        #expect(Self.leading(sql)?.rawValue == utility)
        let answer = try Explainer(Explainer.Options(parameters: "")).target(of: ParseRequest(text: Array(sql.utf8)))
        guard case .fixed(let found) = answer else { return #expect(Bool(false), "planned: \(sql)") }
        #expect(found.rawValue == utility)
    }

    @Test(
        arguments: [
            "merge into t using u on true when matched then delete returning *",
            "select json_table(x, '$' columns (a int))",
            "create table t as select 0x1F + 1_000", "create materialized view m as select 0x1F",
            "explain (analyze, serialize) select 0x1F", "explain analyze select 0x1F", "copy (select 0x1F) to stdout",
            "update t set a = 1 returning with (old as o) o.a", "declare c cursor for select 0x1F", "nonsense",
            "copy t to stdout in new syntax", "with x as (select 0x1F) select 1", "",
        ]
    )
    func `what may hold a query has none`(sql: String) {
        #expect(Self.leading(sql) == nil)
        #expect(throws: PricingError.self) {
            try Explainer(Explainer.Options(parameters: "")).target(of: ParseRequest(text: Array(sql.utf8)))
        }
    }

    /// Of statements that are parsed, the words say the same as the node.
    @Test(
        arguments: [
            "begin", "commit", "set a = 1", "reset all", "show a", "prepare p as select 1", "deallocate p",
            "discard all",
            "listen x", "notify x", "close c", "fetch c", "lock t", "checkpoint", "load 'x'", "create table t (a int)",
            "create temp table t (a int)", "create index on t (a)", "create unique index concurrently i on t (a)",
            "create view v as select 1", "create or replace view v as select 1",
            "create function f() returns int return 1",
            "create trigger t before insert on t execute function f()", "create role r", "create schema s",
            "create extension e", "create type t as (a int)", "create sequence s",
            "create foreign table t (a int) server s",
            "create event trigger e on ddl_command_start execute function f()", "alter table t add b int",
            "alter system set a = 1", "drop table t", "grant select on t to r", "revoke r from s",
            "comment on table t is 'x'",
            "truncate t", "vacuum t", "analyze t", "cluster t", "reindex table t", "refresh materialized view m",
            "call p()", "do 'x'", "copy t from stdin", "explain select 1", "explain verbose select 1",
            "reassign owned by a to b",
            "security label on table t is 'x'", "import foreign schema s from server t into u", "savepoint s",
            "release s",
            "create rule r as on insert to t do nothing", "create aggregate a (int) (sfunc = f, stype = int)",
            "create policy p on t", "create publication p", "create statistics s on a, b from t",
            "create domain d as int",
            "create cast (a as b) without function", "create language l", "create database d",
        ]
    )
    func `words and nodes agree`(sql: String) throws {
        let answer = try Explainer(Explainer.Options(parameters: "")).target(of: ParseRequest(text: Array(sql.utf8)))
        guard case .fixed(let utility) = answer else { return #expect(Bool(false), "planned: \(sql)") }
        #expect(Self.leading(sql) == utility)
    }
}
