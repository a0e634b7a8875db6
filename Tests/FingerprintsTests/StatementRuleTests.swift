// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
import Testing

/// Kinds, names, bodies, limits and borders of statements.
struct StatementRuleTests {
    @Test(arguments: [
        ("with insert as (select 1), update(a) as (select 2) delete from t", StatementKind.delete),
        ("with a as (select 1)", .with),
        ("(with a as (select 1) table a) union select 1", .table),
        ("with a as (insert into t values (1) returning *) select * from a", .select),
        ("with recursive a as (select 1) search depth first by b, c set d select 1", .select),
        ("((values (1)))", .values),
        ("prepare transaction 'x'", .utility), ("prepare transaction as select 1", .prepare),
        ("prepare transaction (int) as select 1", .prepare),
        ("commit and chain", .commit), ("end transaction", .commit), ("rollback work to a", .savepoint),
        ("rollback transaction to savepoint a", .savepoint),
        ("rollback prepared 'x'", .utility), ("rollback and no chain", .rollback), ("abort work", .rollback),
        ("release a", .savepoint),
        ("start transaction read only", .begin), ("start", .utility), ("begin isolation level serializable", .begin),
        ("discard temp", .utility),
        ("deallocate prepare all", .deallocateAll), ("deallocate \"all\"", .deallocate),
        ("deallocate prepare", .deallocate),
        ("move next in c", .fetch), ("close all", .closeCursor), ("reset all", .set), ("set local a = 1", .set),
        ("show a", .show), ("call f()", .call),
        ("create table t (a int)", .utility), ("declare c cursor for select 1", .declare),
        ("explain execute p", .explain), ("\"select\" 1", .utility),
        ("IDENTIFY_SYSTEM", .replication), ("CREATE_REPLICATION_SLOT a LOGICAL b", .replication),
        ("BASE_BACKUP", .replication), ("'x", .utility),
    ])
    func `leading words tell what a statement does`(_ sql: String, _ kind: StatementKind) {
        #expect(NormalizerTests.sketch(sql)?.kind == kind)
    }

    @Test(arguments: [
        ("select 1 limit 1", Decade.upTo10, Decade.absent), ("select 1 limit 0", .zero, .absent),
        ("select 1 limit 1_000", .upTo1000, .absent),
        ("select 1 limit '50'", .upTo100, .absent), ("select 1 limit 5 + 5", .parameter, .absent),
        ("select 1 limit 5::bigint", .parameter, .absent),
        ("select 1 limit (select 5)", .parameter, .absent), ("select 1 limit null offset $1", .absent, .parameter),
        ("select 1 limit 1e3", .parameter, .absent),
        ("select 1 offset 20 rows fetch next 30 rows only", .upTo100, .upTo100),
        ("select 1 fetch first row only", .upTo10, .absent),
        ("select 1 fetch first $1 rows with ties", .parameter, .absent), ("fetch first from c", .absent, .absent),
        ("fetch 5 from c", .absent, .absent),
        ("select t.limit 5 from t", .absent, .absent), ("select a as limit, 5", .absent, .absent),
        ("alter role a connection limit 5", .absent, .absent),
        ("(select 1 limit 5)", .upTo10, .absent), ("(select 1 limit 5) limit 50", .upTo100, .absent),
        ("(select 1 limit 5) union select 2", .absent, .absent),
        ("with a as (select 1 limit 5) select 2 limit 500", .upTo1000, .absent),
        ("select 1 limit 99999999999999999999", .over1000000, .absent),
        ("prepare p as select 1 limit 7", .upTo10, .absent),
        ("insert into t select 1 limit 5 on conflict do nothing", .upTo10, .absent),
        ("select 1 limit 100000", .upTo100000, .absent), ("select 1 limit 1000001 for update", .over1000000, .absent),
        ("select 1 limit", .absent, .absent),
    ])
    func `the outermost limits are found`(_ sql: String, _ limit: Decade, _ offset: Decade) {
        let sketch = NormalizerTests.sketch(sql)
        #expect(sketch?.limit == limit)
        #expect(sketch?.offset == offset)
    }

    @Test func `the memo gives each text its own decades, names and range`() {
        var normalizer = Normalizer(hash: .standard)
        for (limit, decade) in [
            ("5", Decade.upTo10), ("50", .upTo100), ("0", .zero), ("7", .upTo10), ("123456", .upTo1000000),
        ] {
            for padding in ["", "   ", "/* c */ ;"] {
                let sql = Array(
                    "\(padding)select a from t where b in (1\(padding.isEmpty ? "" : ", 2, 3")) limit \(limit);".utf8
                )
                let sketch = normalizer.sketch(sql.rawSpan, from: 0)
                #expect(sketch?.limit == decade)
                #expect(sketch?.range == padding.utf8.count..<(sql.count - 1))
            }
        }
        for arguments in ["1", "22, 'x'", "333"] {
            let sql = Array(" execute \"My p\"(\(arguments))".utf8)
            let sketch = normalizer.sketch(sql.rawSpan, from: 0)
            #expect(sketch.map { String(decoding: sql[$0.name], as: UTF8.self) } == "\"My p\"")
        }
    }

    @Test func `a statement is the same alone and among others`() {
        let parts = [
            "select ';' , \";\" -- ;\n", "insert into t values (1, 'x'), (2, 'y')", " (select 1 limit 5) ",
            "update t set a = E'\\';'",
            "create or replace procedure p() begin atomic select case when a then 1 end; delete from t; end",
            "/* ; */ do $x$ ; $x$",
            "create rule r as on update to t do (select 1; select 2)",
            "create function begin_atomic() returns int return 1", "begin", "select a[1;2]",
        ]
        for first in parts {
            for second in parts {
                let whole = NormalizerTests.sketches(Array((first + ";" + second + ";").utf8))
                #expect(whole.map(\.fingerprint) == [first, second].map { NormalizerTests.sketch($0)?.fingerprint })
                #expect(whole.map(\.kind) == [first, second].map { NormalizerTests.sketch($0)?.kind })
            }
        }
    }

    @Test func `an unlexable text has a key of its own`() {
        let keys = ["select 'a'", "select 'a", "select \"a", "select a", "select /*", "select $$a$$"].map {
            NormalizerTests.sketch($0)?.fingerprint
        }
        #expect(keys[0] == keys[5])
        #expect(keys[1] == keys[2] && keys[1] == keys[4])
        #expect(Set(keys).count == 3)
    }

    @Test func `the key of a pattern depends on the hash's seed`() {
        var other = Normalizer(hash: KeyedHash(seed: 7))
        let sql = Array("select 1".utf8)
        #expect(other.sketch(sql.rawSpan, from: 0)?.fingerprint != NormalizerTests.sketch("select 1")?.fingerprint)
    }
}
