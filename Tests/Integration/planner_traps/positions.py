# SPDX-License-Identifier: Apache-2.0
"""Positions: where an expression or a relation may stand in a statement.

`{int}`, `{bool}` and `{any}` take an expression; a position with a row has m.t under the alias x before it. `{r}` takes a relation
with the columns id and a.
"""
WITH_ROW = """
select {any} from m.t x
select x.id, ({any}) as r from m.t x
select distinct {any} from m.t x
select distinct on ({any}) x.id from m.t x
select count(*) filter (where {bool}) from m.t x
select sum({int}) from m.t x
select count({any}) from m.t x
select array_agg(x.a order by {any}) from m.t x
select string_agg(x.b, 'x' order by {any}, x.id) from m.t x
select percentile_disc(0.5) within group (order by {int}) from m.t x
select mode() within group (order by {bool}) from m.t x
select sum(x.a) over (partition by {any} order by x.id) from m.t x
select rank() over (order by {any}) from m.t x
select rank() over w from m.t x window w as (partition by {any})
select lag(x.a, {int}) over (order by x.id) from m.t x
select lead({any}) over (order by x.id) from m.t x
select ntile(3) over (order by x.id), max({int}) over () from m.t x
select x.id from m.t x where {bool}
select x.id from m.t x where not ({bool})
select x.id from m.t x where x.id = 1 and ({bool} or x.a is null)
select x.id from m.t x where x.id = {int}
select x.id from m.t x where x.a > {int}
select x.id from m.t x where {int} < x.a
select x.id from m.t x where x.a <> {int}
select x.id from m.t x where x.a in (1, {int})
select x.id from m.t x where x.a not in ({int}, 2)
select x.id from m.t x where x.a between {int} and 50
select x.id from m.t x where x.a = any (array[{int}])
select x.id from m.t x where (x.a, x.id) = ({int}, 1)
select x.id from m.t x where (x.a, x.id) < ({int}, 1)
select x.id from m.t x where x.c is distinct from {bool}
select x.id from m.t x where x.c = {bool}
select x.id from m.t x where case when {bool} then x.c else false end
select x.id from m.t x where case x.a when {int} then true else x.c end
select x.id from m.t x where exists (select 1 from m.u y where {bool} and y.id = x.id)
select x.id from m.t x where x.a in (select y.a from m.u y where {bool})
select x.id from m.t x where x.a in (select {int} from m.u y)
select x.id from m.t x where x.a = (select {int})
select x.id from m.t x where x.a > all (select {int} from m.u y)
select x.id from m.t x where coalesce(x.a, {int}) = 1
select x.id from m.t x where nullif(x.a, {int}) is null
select x.id from m.t x where greatest(x.a, {int}) = least(x.id, {int})
select x.id from m.t x where ({bool}) is not true
select x.id from m.t x where x.b like ({any})::text
select x.id from m.t x where x.arr[{int}] = 1
select x.id from m.t x where x.arr[{int}:2] is null
select x.id from m.t x where x.j[({any})::text] is null
select x.id from m.t x where x.j @> to_jsonb({any})
select x.id from m.t x join m.u y on x.id = y.id and {bool}
select x.id from m.t x left join m.u y on x.id = y.id and {bool}
select x.id from m.t x right join m.u y on x.a = y.a where {bool}
select x.id from m.t x cross join lateral (select {any} as z) l
select l.z from m.t x left join lateral (select {int} as z from m.u y where y.id = x.id limit 3) l on true
select x.id from m.t x, lateral generate_series(1, {int}) g
select x.id from m.t x, lateral (values ({any}), (null)) v(z)
select s.z from (select {any} as z from m.t x) s
select s.z from (select {int} as z from m.t x offset 0) s where s.z > 1
select count(*) from m.t x group by {any}
select x.a, count(*) from m.t x group by x.a having bool_or({bool})
select count(*) from m.t x group by grouping sets (({any}), ())
select count(*) from m.t x group by rollup (x.a, ({any}))
select x.a from m.t x order by {any}
select x.a from m.t x order by {any} desc nulls last limit 3
select x.a from m.t x order by case when {bool} then x.a else x.id end
select x.id from m.t x where {bool} for update
select abs({int}) from m.t x
select concat({any}, x.b) from m.t x
select format('%s', {any}) from m.t x
select coalesce({any}) from m.t x
select jsonb_build_object('a', {any}, 'b', x.a) from m.t x
select row(x.id, {any}) from m.t x
select array[{any}] from m.t x
select (select {any}) from m.t x
select array(select {any} from m.u y) from m.t x
select exists (select {any} where {bool}) from m.t x
select case when {bool} then {any} end from m.t x
select xmlelement(name e, xmlattributes(({any})::text as k)) from m.t x
select xmlforest({any} as e) from m.t x
with w as (select {any} as z from m.t x) select * from w
with w as materialized (select x.id from m.t x where {bool}) select * from w, w w2
with w as not materialized (select {int} as z from m.t x) select * from w where z = 1
with recursive w(id) as (select x.id from m.t x where {bool} union all select w.id + 1 from w where w.id < 10) select * from w
with recursive w(id, p) as (select 1, 1 union all select x.id, {int} from w, m.t x where x.id = w.id) search depth first by id set o select * from w
with recursive w(id) as (select 1 union select x.a from w join m.t x on x.id = w.id and {bool}) cycle id set c using path select * from w
select x.id from m.t x where {bool} union all select 1
select 1 union select {int} from m.t x
select x.id from m.t x intersect select {int} from m.t x
(select x.id from m.t x where {bool}) except (select 2) order by 1
insert into m.w(id, a) select x.id, {int} from m.t x
insert into m.w as x(id, a) values (1, 2) on conflict (id) do update set a = excluded.a where x.id > 0
insert into m.w(id) select x.id from m.t x where {bool} on conflict do nothing
with w as (insert into m.w(id) select x.id from m.t x where {bool} returning id) select * from w
update m.t x set a = {int}
update m.t x set a = 1 where {bool}
update m.t x set (a, c) = ({int}, {bool})
update m.t x set (a) = row({int})
update m.t x set (a, b) = (select {int}, 'x')
update m.t x set arr[{int}] = 1
update m.t x set a = y.a from m.u y where y.id = x.id and {bool}
update m.t x set a = 1 where x.id = 1 returning {any}
with w as (update m.t x set a = {int} where {bool} returning x.id) select * from w
delete from m.t x where {bool}
delete from m.t x using m.u y where x.id = y.id and {bool}
delete from m.t x where x.id = 1 returning {any}
with w as (delete from m.t x where x.a = {int} returning *) select * from w
merge into m.t x using m.u y on x.id = y.id and {bool} when matched then update set a = 1
merge into m.t x using m.u y on x.id = y.id when matched and {bool} then delete
merge into m.t x using m.u y on x.id = y.id when matched then update set a = {int}, b = 'x'
merge into m.u y using m.t x on x.id = y.id when not matched and {bool} then insert (id, a) values (x.id, {int})
merge into m.u y using (select x.id, {int} as z from m.t x) s on s.id = y.id when matched then update set a = s.z
select x.id from rows from (generate_series(1, 3)) g join m.t x on x.id = g where {bool}
select max(x.a) from m.t x where {bool} group by x.b having count(*) > {int}
select x.id from only m.t x where {bool}
select x.id from m.t x tablesample system (10) where {bool}
select * from (m.t x join m.u y on {bool}) where x.id = 1
select x.id from m.p x where {bool}
select x.id from m.p x where x.id = {int}
select x.id from m.p x where x.id in (3, {int}) and {bool}
select x.id from m.p x join m.p y on x.id = y.id and {bool}
update m.p x set a = {int} where x.id = {int}
select substring(x.b from {int} for 2), overlay(x.b placing 'x' from {int}) from m.t x
select position('x' in ({any})::text), trim(both ({any})::text from x.b) from m.t x
select x.b collate "C", ({any})::text collate "C" from m.t x
select extract(year from case when {bool} then x.d end) from m.t x
select (x.d, x.d) overlaps (x.d, case when {bool} then x.d end) from m.t x
select now() at time zone ({any})::text from m.t x
select x.id from m.t x where x.b similar to ({any})::text
select x.id from m.t x where x.b like 'x' escape ({any})::text
select x.id from m.t x where x.d > date '2026-01-01' + {int}
select x.id from m.t x where x.d between symmetric x.d + {int} and current_date
select x.id from m.t x where x.a = all (array[{int}, x.id])
select x.id from m.t x where x.arr = array[{int}]
select x.id from m.t x where x.arr && array[{int}] or x.arr @> array[x.id]
select x.id from m.t x where x.id = {int} and x.id = {int}
select x.id from m.t x where (x.id, x.a) in ((1, 2), ({int}, 3))
select x.id from m.t x where (x.id, x.a) in (select y.id, {int} from m.u y)
select x.id from m.t x where row(x.id, {int}) is not distinct from row(x.a, 1)
select x.id from m.t x where x.id in (select y.id from m.u y group by y.id having count(*) > {int})
select x.id from m.t x where x.a * 2 + {int} > 7
select x.id from m.t x where x.ctid is not null and {bool}
select cast({any} as text), cast({int} as numeric(10, 2)) from m.t x
select sum({int}) filter (where {bool}) over (order by x.id range between unbounded preceding and current row) from m.t x
select first_value({any}) over (partition by {any}) from m.t x
select distinct x.a, {any} from m.t x order by 2, 1
select grouping(x.a), count(*) from m.t x group by cube (x.a, ({any}))
select x.a, sum({int}) from m.t x group by distinct rollup (x.a), cube (x.b)
select x.id from (select t.id, {any} as z from m.t t, lateral (select t.*) x) x
select x.id from m.t x where {bool} order by x.id limit 5 for share skip locked
select x.id from m.t x where {bool} limit all
select x.id from m.t x full join m.u y on x.id = y.id where {bool}
select x.id from (m.t x cross join m.u y) join m.u z on {bool}
"""

# By the version that brought them.
NEW = {
    16: """
select any_value({any}) from m.t x
select json_array({any}, x.a) from m.t x
select json_object('a': {any}, 'b': x.id) from m.t x
select x.j is json object with unique keys from m.t x where {bool}
""",
    17: """
merge into m.t x using m.u y on x.id = y.id when not matched by source and {bool} then delete
merge into m.t x using m.u y on x.id = y.id when matched then update set a = {int} returning merge_action(), x.id
merge into m.t x using m.u y on x.id = y.id when matched then do nothing returning {any}
with w as (merge into m.t x using m.u y on x.id = y.id when matched and {bool} then delete returning x.id) select * from w
select json_value(x.j, '$.a' passing {int} as z returning int default {int} on empty) from m.t x
select q.* from m.t x, json_table(x.j, '$' passing {any} as z columns (a int path '$.a' default {int} on error)) q
select json_exists(x.j, '$.a' passing {any} as z) from m.t x
select json_serialize(json_scalar({any})) from m.t x
""",
    18: """
update m.t x set a = 1 returning with (old as o, new as n) o.a, n.a, {any}
update m.t x set a = {int} returning old.a, new.a
delete from m.t x where {bool} returning old.id
insert into m.w as x(id, a) select 1, {int} from m.t x returning with (new as n) n.id
merge into m.t x using m.u y on x.id = y.id and {bool} when matched then update set a = 1 returning with (old as o) o.a, merge_action()
""",
}

WITHOUT_ROW = """
select {any}
select 1 where {bool}
select 1 limit {int}
select 1 offset {int}
select 1 fetch first ({int}) rows only
select id from m.t order by id fetch first ({int}) rows with ties
select id from m.t limit {int} offset {int}
select id from m.t limit case when {bool} then 1 else 2 end
select id from m.t limit (select {int})
select * from (select id from m.t limit {int}) s
select (select id from m.t order by id limit 1 offset {int})
with w as (select id from m.t limit {int}) select * from w
select 1 union all (select 2 limit {int})
select 1 union all select 2 offset {int}
select id from m.t where id in (select id from m.u limit {int})
select * from m.t t, lateral (select id from m.u where u.id = t.id limit {int}) l
select exists (select 1 from m.u limit {int})
select id from m.t where a > (select a from m.u offset {int} limit 1)
values ({any})
values ({any}), (null)
select * from (values (1, {any}), (2, null)) v(a, b)
select * from generate_series(1, {int}) g
select * from rows from (generate_series(1, {int}), unnest(array[1, 2])) with ordinality g
select * from unnest(array[{any}]) with ordinality
select * from m.t tablesample bernoulli ({int})
select * from m.t tablesample system (10) repeatable ({int})
select sum(a) over (order by id rows {int} preceding) from m.t
select sum(a) over (order by id rows between {int} preceding and {int} following) from m.t
select sum(a) over (order by id range {int} preceding) from m.t
select sum(a) over (order by id groups between unbounded preceding and {int} following) from m.t
select count(*) over w from m.t window w as (order by id rows {int} preceding exclude ties)
insert into m.w(id, a) values (1, {int})
insert into m.w(id, a) values (1, 2), ({int}, 3)
insert into m.w(id, a) values ({int}, default)
insert into m.w(id) values (1) returning {any}
insert into m.w(id, a) values (1, 2) on conflict (id) do update set a = {int}
insert into m.w(id, a) values (1, 2) on conflict (id) do update set a = excluded.a where {bool}
insert into m.w(id, a) values (1, 2) on conflict (id) where {bool} do nothing
insert into m.w(id, a) select 1, {int} where {bool}
insert into m.w(id, arr[{int}]) values (1, 2)
insert into m.w(id, a) overriding system value values (1, {int})
with w as (insert into m.w(id, a) values (1, {int}) returning id) select * from w
with w(z) as (values ({any})) select * from w
select (array[1, 2])[{int}]
select case {int} when 1 then 2 end
select concat(variadic array[{any}]::text[])
select coalesce(null, {any})
select string_to_array('a', 'b', ({any})::text)
select 1 order by {any}
select 1 group by {int} + 0
select count(*) having {bool}
select * from (select {any} as z) s natural join (select {any} as z) q
select * from (select {int} as id) s join m.u using (id)
select * from (select {int} as id) s natural full join m.u
select * from m.t where id = (with w as (select {int} as z) select z from w)
select json_build_array({any}, {any})
select 1 from m.t where {bool}
select id from m.t where a = {int}
select id from m.p where id = {int}
"""

READS = """
select * from {r}
select q.a from {r} q where q.id = 1
select count(*) from {r}
select q from {r} q
select row_to_json(q) from {r} q
select q.* from only {r} q
table {r}
select a from {r} group by a having count(*) > 1 order by a limit 3
with w as (select * from {r}) select * from w
with w as materialized (select * from {r} where id = 1) select * from w, w w2
select 1 where exists (select 1 from {r} q where q.a = 5)
select * from m.t x join {r} q on q.id = x.id
select * from m.t x left join {r} q using (id)
select * from m.t x natural join {r} q
select * from m.t x cross join lateral (select q.a from {r} q where q.id = x.id limit 1) l
select (select max(q.a) from {r} q)
select 1 limit (select count(*) from {r})
select id from m.t union all select id from {r}
select id from {r} intersect select id from {r}
values ((select max(a) from {r}))
select x.id from m.t x where x.a in (select a from {r})
select x.id from m.t x where x.a not in (select a from {r} where id = x.id)
insert into m.w(id, a) select id, a from {r}
update m.t x set a = q.a from {r} q where q.id = x.id
update m.t x set (a, b) = (select q.a, 'x' from {r} q where q.id = x.id)
delete from m.t x using {r} q where q.id = x.id
delete from m.t x where x.id in (select id from {r})
merge into m.t x using {r} q on x.id = q.id when matched then update set a = q.a
with recursive w(id) as (select id from {r} union select q.a from w, {r} q where q.id = w.id) select * from w
select * from {r} a, {r} b, {r} c where a.id = b.id and b.a = c.a
select sum(a) over (partition by id) from {r}
"""

WRITES = {
    "insert": """
insert into {r}(id, a) values (1, 2)
insert into {r}(id) values (1)
insert into {r}(id) values (1), (2) returning *
insert into {r} default values
insert into {r}(id, a) select id, a from m.t
insert into {r}(id) select id from m.t where a = 1
insert into {r}(id, a) values (1, default) on conflict do nothing
with w as (insert into {r}(id) values (1) returning id) select * from w
""",
    "update": """
update {r} set a = 1
update {r} q set a = a + 1 where q.id = 5 returning *
update {r} set a = null where id in (select id from m.u)
with w as (update {r} set a = 1 returning id) select * from w
update {r} set id = a where a = 7
""",
    "delete": """
delete from {r}
delete from {r} q where q.id = 1
delete from {r} q using m.u u where u.id = q.id returning q.a
with w as (delete from {r} returning id) select * from w
""",
}

# What is written around a statement that plans it all the same.
WRAPPERS = [
    "prepare z_p as {s}", "explain {s}", "explain (analyze, costs off) {s}", "explain analyze verbose {s}", "{s};", " ; {s}", "/* x */ {s} -- y",
]
QUERY_WRAPPERS = [
    "declare z_c cursor for {s}", "declare z_c no scroll cursor with hold for {s}", "create table m.z_n as {s}", "create temp table z_n as {s}",
    "create materialized view m.z_n as {s}", "copy ({s}) to stdout", "copy ({s}) to stdout with (format csv)", "explain create table m.z_n as {s}",
    "explain declare z_c cursor for {s}", "select * from ({s}) z_q", "with z_w as ({s}) select * from z_w", "select exists ({s})",
    "select 1 from m.t where exists ({s})", "({s}) limit 10", "(({s}))", "create table m.z_n as ({s}) with no data",
]


def lines(text):
    return [line for line in text.splitlines() if line.strip()]
