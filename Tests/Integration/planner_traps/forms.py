# SPDX-License-Identifier: Apache-2.0
"""Forms: what a tenant without rights can make, so that whoever plans a statement runs it.

Each form has a tripwire of its own, the function m.z_NAME(int), which returns its argument and tells the server's log. In `setup`
and `uses` stands {z} for z_NAME. A use is an expression of a type: `int`, `bool` or `any`; one that says `x.` needs a row of m.t
under the alias x. A relation has columns id and a; `writes` are the kinds of statement that reach the tripwire.

Uses without literals matter most: they stay as they are when literals become parameters.
"""
from dataclasses import dataclass, field

TENANT = "mallory"
SCHEMA = "m"
SEARCH_PATH = "m, public"


@dataclass
class Form:
    name: str
    setup: str = ""
    uses: list = field(default_factory=list)
    first: int = 14
    path: str = SEARCH_PATH
    relation: str = ""
    writes: str = "select"
    statements: list = field(default_factory=list)
    marker: str = ""

    def expand(self, text):
        return text.replace("{z}", f"z_{self.name}")


FORMS = []


def form(name, setup="", **more):
    uses = [(kind, text) for kind in ("int", "bool", "any") for text in more.pop(kind, [])]
    FORMS.append(Form(name, setup, uses, **more))


# Functions of constants, which are folded.
form("literal", int=["m.{z}(1)", "m.{z}(1 + 1)", "m.{z}(-1)", "m.{z}(1)::int"])
form("literal_new", int=["m.{z}(0x1F)", "m.{z}(1_000)", "m.{z}(0b1)", "m.{z}(0o7)"], first=16)
form("noarg", "create function m.{z}0() returns int immutable language plpgsql as 'begin return m.{z}(1); end'", int=["m.{z}0()", "(m.{z}0())"])
form("null", int=["m.{z}(null)", "m.{z}(null::int)", "m.{z}(x => null)"],
     setup="drop function m.{z}(int); create function m.{z}(x int) returns int immutable language plpgsql as "
           "$f$ begin perform m.tripped('null'); return 1; end $f$")
form("true", "create function m.{z}b(bool) returns bool immutable language plpgsql as 'begin return m.{z}(1) = 1; end'",
     bool=["m.{z}b(true)", "m.{z}b(not false)", "m.{z}b(null)", "m.{z}b(null is null)", "m.{z}b(true and true)"])
form("folded", "create function m.{z}f(float8) returns int immutable language plpgsql as 'begin return m.{z}(1); end'",
     int=["m.{z}f(pi())", "m.{z}f(pi() * pi())", "m.{z}f(null)", "m.{z}f(coalesce(null, pi()))"])
form("empty_array", "create function m.{z}a(int[]) returns int immutable language plpgsql as 'begin return m.{z}(1); end'",
     int=["m.{z}a(array[]::int[])", "m.{z}a(array[null]::int[])", "m.{z}a('{}')"])
form("row", "create function m.{z}r(record) returns int immutable language plpgsql as 'begin return m.{z}(1); end'",
     int=["m.{z}r(row(true))", "m.{z}r(row(null, null))", "m.{z}r((true, false))"])
form("variadic", "create function m.{z}v(variadic int[]) returns int immutable language plpgsql as 'begin return m.{z}(1); end'",
     int=["m.{z}v(1, 2)", "m.{z}v(variadic array[1])", "m.{z}v(null)", "m.{z}v(variadic null)"])
form("polymorphic", "create function m.{z}p(anyelement) returns int immutable language plpgsql as 'begin return m.{z}(1); end'",
     int=["m.{z}p(true)", "m.{z}p(null::bool)", "m.{z}p(1)", "m.{z}p(pi())"])
form("defaulted", "create function m.{z}d(a int, b int default m.z_defaulted(2)) returns int language sql as 'select $1'",
     int=["m.{z}d(1)", "m.{z}d(a => null)", "m.{z}d(x.a)"])
form("row_result", "create function m.{z}o() returns m.pair immutable language plpgsql as 'begin return row(m.{z}(1), 1)::m.pair; end'",
     int=["(m.{z}o()).a"], any=["m.{z}o()"])
form("sql_inlined", "create function m.{z}s() returns int language sql as 'select m.{z}(1)'", int=["m.{z}s()", "m.{z}s() + 1"])
form("sql_deep", "create function m.{z}1(int) returns int language sql as 'select m.{z}(1)'; "
     "create function m.{z}2(int) returns int language sql as 'select m.{z}1($1)'; "
     "create function m.{z}3(int) returns int language sql as 'select m.{z}2($1)'; "
     "create function m.{z}4(int) returns int language sql as 'select m.{z}3($1)'", int=["m.{z}4(x.a)", "m.{z}4(null)", "m.{z}4(1)"])
form("sql_table", "create function m.{z}t() returns setof int stable language sql as 'select a from m.t where a > m.{z}(1)'",
     int=["(select max(q) from m.{z}t() q)", "(select count(*)::int from m.{z}t())"], bool=["exists (select from m.{z}t())"])
form("value_functions", "create function m.{z}f(text) returns int immutable language plpgsql as 'begin return m.{z}(1); end'; create type m.{z}e as enum "
     "('pgweir_explain', 'mallory', 'm.z_domaind')", int=["m.{z}f(current_user)", "m.{z}f(version())", "m.{z}f(enum_last(current_user::text::m.{z}e)::text)",
                                                         "m.{z}f(current_schema)", "m.{z}f(pg_backend_pid()::text)"],
     bool=["x.a > m.{z}f(session_user)", "x.a = m.{z}f(enum_first(current_user::text::m.{z}e)::text)", "x.a < m.{z}f(current_database())"])
form("stable", "create function m.{z}s() returns int stable language plpgsql as 'begin return m.{z}(1); end'",
     int=["m.{z}s()"], bool=["x.a > m.{z}s()", "x.a = m.{z}s()", "x.a between m.{z}s() and m.{z}s()", "x.a = any (array[m.{z}s()])"])
form("immutable_of_stable", "create function m.{z}d(date) returns int immutable language plpgsql as 'begin return m.{z}(1); end'",
     bool=["x.a > m.{z}d(current_date)", "x.a < m.{z}d(now()::date)"])
form("body_atomic", "create function m.{z}s() returns int return m.{z}(1)", int=["m.{z}s()"])

# What looks like a column, a cast or a built-in name.
form("column_notation", "create function m.{z}c(m.t) returns int stable language sql as 'select m.{z}(1)'",
     int=["x.{z}c", "(x).{z}c", "m.{z}c(x)", "{z}c(x.*)", "(x.*).{z}c"])
form("column_of_subquery", "create function m.{z}c(m.t) returns int stable language sql as 'select m.{z}(1)'",
     int=["(select s.{z}c from m.t s limit 1)", "(select (r).{z}c from (select s as r from m.t s) q limit 1)",
          "(select w.{z}c from (select y.* from m.t y) w2, m.t w limit 1)"])
form("record_function_column", "create function m.{z}c(m.pair) returns int stable language sql as 'select m.{z}(1)'",
     int=["(null::m.pair).{z}c", "(row(null, null)::m.pair).{z}c"])
form("row_cast", "create table m.{z}t(id int, a int); insert into m.{z}t values (1, 1); "
     "create function m.{z}i(m.{z}t) returns int stable language sql as 'select m.{z}(1)'; "
     "create cast (m.{z}t as int) with function m.{z}i(m.{z}t)",
     int=["(select y::int from m.{z}t y)", "(select cast(y as int) from m.{z}t y)", "(select (y.*)::int from m.{z}t y)",
          "(select q.r::pg_catalog.int4 from (select y as r from m.{z}t y) q)"])
form("row_cast_text", "create table m.{z}t(id int, a int); create function m.{z}i(m.{z}t) returns text stable language sql as "
     "'select m.{z}(1)::text'; create cast (m.{z}t as text) with function m.{z}i(m.{z}t) as implicit",
     any=["(select y::text from m.{z}t y limit 1)", "(select lower(y) from m.{z}t y limit 1)", "(select y like null from m.{z}t y limit 1)",
          "(select coalesce(null::text, y) from m.{z}t y limit 1)", "(select length(y) from m.{z}t y limit 1)"])
form("enum_cast", "create type m.{z}e as enum ('sad', 'glad'); create function m.{z}i(m.{z}e) returns int immutable language sql as "
     "'select m.{z}(1)'; create cast (m.{z}e as int) with function m.{z}i(m.{z}e) as implicit",
     int=["'sad'::m.{z}e + 1", "'sad'::m.{z}e::int", "null::m.{z}e + 1", "abs('sad'::m.{z}e)", "(null::m.{z}e)::int"],
     bool=["x.a = 'sad'::m.{z}e", "x.a > enum_first(null::m.{z}e)"])
form("array_cast", "create type m.{z}e as enum ('sad'); create function m.{z}i(m.{z}e) returns int immutable language plpgsql as "
     "'begin return m.{z}(1); end'; create cast (m.{z}e as int) with function m.{z}i(m.{z}e) as implicit",
     any=["(array['sad'::m.{z}e])::int[]", "'{sad}'::m.{z}e[]::int[]", "(array[null::m.{z}e])::int[]"])
form("cast_from_builtin", "create type m.{z}p as (n bool); create function m.{z}i(bool) returns m.{z}p immutable language plpgsql as "
     "'begin perform m.{z}(1); return row($1)::m.{z}p; end'; create cast (bool as m.{z}p) with function m.{z}i(bool)",
     any=["true::m.{z}p", "(true::m.{z}p).n", "cast(null::bool as m.{z}p)", "x.c::m.{z}p"])
form("json_cast", "create type m.{z}e as enum ('sad'); create function m.{z}j(m.{z}e) returns json immutable language plpgsql as "
     "'begin perform m.{z}(1); return null; end'; create cast (m.{z}e as json) with function m.{z}j(m.{z}e)",
     bool=["x.b = to_json(enum_first(null::m.{z}e))::text", "x.b = json_build_array(enum_first(null::m.{z}e))::text",
           "x.b = to_jsonb('sad'::m.{z}e)::text", "x.b = row_to_json(row(enum_first(null::m.{z}e)))::text",
           "x.b = array_to_json(enum_range(null::m.{z}e))::text", "x.b = jsonb_build_object(true, enum_last(null::m.{z}e))::text"])
form("overloaded_function", "create schema {z}; grant usage on schema {z} to public; create function {z}.lower(bool) returns int immutable language plpgsql as 'begin return m.{z}(1); end'; "
     "create function {z}.upper(m.t) returns int stable language sql as 'select m.{z}(1)'", path="{z}, m, public",
     int=["lower(true)", "lower(null::bool)", "{z}.lower(true)", "upper(x)", "x.upper"])
form("overloaded_operator", "create schema {z}; grant usage on schema {z} to public; create function m.{z}o(bool, int) returns bool immutable language plpgsql as 'begin perform m.{z}(1); return true; end'; "
     "create operator {z}.= (leftarg = bool, rightarg = int, function = m.{z}o)", path="{z}, m, public",
     bool=["true = null::int", "true = 1", "true in (null::int)", "true = any (array[null]::int[])", "(true, true) = (true, null::int)",
           "true is distinct from null::int", "nullif(true, null::int)", "case true when null::int then true else false end"])
form("like_pg_catalog", 'create schema "PG_CATALOG"; grant usage on schema "PG_CATALOG" to public; create function "PG_CATALOG".lower(bool) '
     "returns int immutable language plpgsql as 'begin return m.{z}(1); end'",
     int=['"PG_CATALOG".lower(true)', 'U&"PG!005fCATALOG" uescape \'!\' .lower(null)'])
form("quoted_names", 'create function m."z.odd""name"(bool) returns int immutable language plpgsql as \'begin return m.{z}(1); end\'; '
     'create function m."pg_catalog.abs"(bool) returns int immutable language plpgsql as \'begin return m.{z}(1); end\'',
     int=['m."z.odd""name"(true)', 'm."pg_catalog.abs"(true)', '"pg_catalog.abs"(true)', 'U&"z.odd\\0022name"(null)'])

# Types whose input, constraints or defaults are the tenant's.
DOMAIN = "create domain m.{z}d as int check (m.{z}(1) = 1); "
form("domain", DOMAIN, any=["'5'::m.{z}d", "null::m.{z}d", "m.{z}d '5'", "m.{z}d(5)", "m.{z}d(null)", "cast(5 as m.{z}d)", "x.a::m.{z}d",
                            "pg_catalog.array_length(array[]::m.{z}d[], 1)", "cast(null as m.{z}d)", "x.id::m.{z}d"])
form("domain_value", "create domain m.{z}d as int check (m.{z}(value) = value)",
     any=["'5'::m.{z}d", "m.{z}d '5'", "m.{z}d(5)", "5::m.{z}d", "'{5}'::m.{z}d[]"])
form("domain_bool", "create domain m.{z}d as bool check (m.{z}(1) = 1)", bool=["true::m.{z}d", "m.{z}d(true)", "null::m.{z}d", "m.{z}d 't'"],
     any=["array[true]::m.{z}d[]", "(array[true]::m.{z}d[])[1]"])
form("domain_of_domain", DOMAIN + "create domain m.{z}2 as m.{z}d; create domain m.{z}3 as m.{z}2; create domain m.{z}4 as m.{z}3",
     any=["null::m.{z}4", "'5'::m.{z}4", "m.{z}4(null)", "'{5}'::m.{z}4[]"])
form("domain_array", DOMAIN, any=["'{1}'::m.{z}d[]", "array[1]::m.{z}d[]", "array_length('{1}'::m.{z}d[], 1)", "null::m.{z}d[]",
                                  "array[null]::m.{z}d[]", "array[x.a]::m.{z}d[]", "(array[x.a]::m.{z}d[])[1]"])
form("domain_over_array", "create domain m.{z}d as int[] check (m.{z}(1) = 1)", any=["'{1}'::m.{z}d", "array[null]::int[]::m.{z}d", "m.{z}d(null)",
                                                                                     "('{1}'::m.{z}d)[1]"])
form("composite", DOMAIN + "create type m.{z}c as (a m.{z}d)", any=["'(1)'::m.{z}c", "('(1)'::m.{z}c).a", "row(1)::m.{z}c", "row(null)::m.{z}c",
                                                                    "(row(null)::m.{z}c).a", "'{(1)}'::m.{z}c[]", "(row(x.a)::m.{z}c).a"])
form("composite_deep", DOMAIN + "create type m.{z}c as (a m.{z}d[]); create type m.{z}2 as (c m.{z}c); create type m.{z}3 as (c m.{z}2[])",
     any=["row(array[row(row(array[null]::m.{z}d[])::m.{z}c)::m.{z}2])::m.{z}3", "(row(array[null]::m.{z}d[])::m.{z}c).a",
                                                          "row(row(array[null]::m.{z}d[])::m.{z}c)::m.{z}2", "'({})'::m.{z}c", "'({1})'::m.{z}c"])
form("table_row_type", DOMAIN + "create table m.{z}t(a m.{z}d)", any=["row(null)::m.{z}t", "'(1)'::m.{z}t", "(row(1)::m.{z}t).a", "null::m.{z}t"])
form("range", DOMAIN + "create type m.{z}r as range (subtype = m.{z}d)", any=["'[1,2)'::m.{z}r", "upper('[1,2)'::m.{z}r)", "m.{z}r(1, 2)",
                                                                              "m.{z}r(null, null)", "null::m.{z}r", "isempty(m.{z}r(null, null))"])
form("several_ranges", DOMAIN + "create type m.{z}r as range (subtype = m.{z}d, multirange_type_name = m.{z}m)",
     any=["'{[1,2)}'::m.{z}m", "m.{z}m()", "m.{z}m(m.{z}r(null, null))", "'{}'::m.{z}m"])
form("range_difference", "create function m.{z}s(float8, float8) returns float8 immutable language plpgsql as 'begin perform m.{z}(1); "
     "return $1 - $2; end'; create type m.{z}r as range (subtype = float8, subtype_diff = m.{z}s); create table m.{z}t(id int, r m.{z}r); "
     "insert into m.{z}t select i, m.{z}r(i, i + 10) from generate_series(1, 500) i; analyze m.{z}t",
     bool=["exists (select from m.{z}t y where y.r && m.{z}r(1, 5))", "exists (select from m.{z}t y where y.r @> 5::float8)",
           "exists (select from m.{z}t y where y.r @> pi())", "exists (select from m.{z}t y where y.r && m.{z}r(null, null))",
           "exists (select from m.{z}t y where y.r <@ m.{z}r(pi(), null))", "exists (select from m.{z}t y where y.r << m.{z}r(pi(), pi() * pi()))",
           "exists (select from m.{z}t y where y.r && '[1,5)')"])
form("domain_default", "create domain m.{z}d as int default m.{z}(1); create table m.{z}t(id int, a m.{z}d)", relation="m.{z}t", writes="insert")
form("json_constructor", "create type m.{z}e as enum ('sad'); create function m.{z}j(m.{z}e) returns json immutable language plpgsql as "
     "'begin perform m.{z}(1); return null; end'; create cast (m.{z}e as json) with function m.{z}j(m.{z}e)", first=16,
     bool=["x.b = json_array(enum_first(null::m.{z}e))::text", "x.b = json_object('a': enum_first(null::m.{z}e))::text",
           "x.b = json_object('a' value enum_last(null::m.{z}e) absent on null)::text", "x.b = json_array('sad'::m.{z}e null on null)::text"])
form("json_scalar", "create type m.{z}e as enum ('sad'); create function m.{z}j(m.{z}e) returns json immutable language plpgsql as "
     "'begin perform m.{z}(1); return null; end'; create cast (m.{z}e as json) with function m.{z}j(m.{z}e)", first=17,
     bool=["x.b = json_scalar(enum_first(null::m.{z}e))::text", "x.b = json_serialize(json_scalar('sad'::m.{z}e))"])
form("parameters", DOMAIN + "create type m.{z}c as (a m.{z}d); create function m.{z}t(m.{z}d) returns int immutable language sql as 'select 1'",
     any=["$1::m.{z}d", "m.{z}d($1)", "m.{z}t($1)", "$1::m.{z}c", "($1::m.{z}c).a", "$1::m.{z}d[]", "m.{z}(1 + coalesce($1, 1))", "m.{z}t(null)"])
form("json_record", "create domain m.{z}d as bool check (m.{z}(1) = 1); create type m.{z}c as (f1 m.{z}d)",
     bool=["x.b = json_populate_record(null::m.{z}c, to_json(row(true)))::text", "x.b = jsonb_populate_record(null::m.{z}c, '{\"f1\": true}')::text",
           "exists (select from json_populate_recordset(null::m.{z}c, '[{\"f1\": true}]'))",
           "exists (select from json_to_record(to_json(row(true))) as q(f1 m.{z}d))"])
form("input_is_valid", "create domain m.{z}d as bool check (m.{z}(1) = 1); create schema {z}; grant usage on schema {z} to public; create domain {z}.\"true\" as bool check (m.{z}(1) = 1)", path="{z}, m, public",
     bool=["x.c = pg_input_is_valid('t', 'm.{z}d')", "x.c = pg_input_is_valid(true::text, true::text)", "x.c = pg_input_is_valid(true::text, 'm.{z}d')",
           "exists (select from pg_input_error_info('t', 'm.{z}d'))"], first=16)
form("json_returning", DOMAIN, any=["json_value('1', '$' returning m.{z}d)", "json_query('1', '$' returning m.{z}d)",
                                    "(select q.a from json_table('1', '$' columns (a m.{z}d path '$')) q)"], first=17)
form("xmltable", DOMAIN, any=["(select q.a from xmltable('/a' passing (xmlparse(document '<a>1</a>')) columns a m.{z}d path '.') q)",
                              "(select q.a from xmltable('/a' passing null columns a m.{z}d path '.' default null) q)"])

# Aggregates and window functions.
form("aggregate_domain", DOMAIN + "create function m.{z}f(m.{z}d, int) returns m.{z}d language sql as 'select $1'; "
     "create aggregate m.{z}a(int) (sfunc = m.{z}f, stype = m.{z}d, initcond = '1')",
     any=["(select m.{z}a(y.a) from m.u y)", "(select m.{z}a(distinct y.a) from m.u y)", "(select m.{z}a(y.a) filter (where y.c) from m.u y)",
          "(select m.{z}a(y.a) over () from m.u y limit 1)", "(select m.{z}a(y.a order by y.id) from m.u y)", "(select m.{z}a(null))"])
form("aggregate_array", DOMAIN + "create function m.{z}f(m.{z}d[], int) returns m.{z}d[] language sql as 'select $1'; "
     "create aggregate m.{z}a(int) (sfunc = m.{z}f, stype = m.{z}d[], initcond = '{1}')",
     any=["(select m.{z}a(y.a) from m.u y)", "(select m.{z}a(y.a) over (order by y.id) from m.u y limit 1)"])
form("aggregate_composite", DOMAIN + "create type m.{z}c as (a m.{z}d); create function m.{z}f(m.{z}c, int) returns m.{z}c language sql as 'select $1'; "
     "create aggregate m.{z}a(int) (sfunc = m.{z}f, stype = m.{z}c, initcond = '(1)')", any=["(select m.{z}a(y.a) from m.u y)"])
form("aggregate_moving", DOMAIN + "create function m.{z}f(m.{z}d, int) returns m.{z}d language sql as 'select $1'; create function m.{z}g(int, int) "
     "returns int language sql as 'select $1'; create function m.{z}h(m.{z}d) returns int language sql as 'select 1'; create aggregate m.{z}a(int) (sfunc = m.{z}g, stype = int, initcond = '1', msfunc = m.{z}f, "
     "minvfunc = m.{z}f, mstype = m.{z}d, minitcond = '1', mfinalfunc = m.{z}h)",
     any=["(select m.{z}a(y.a) over (order by y.id rows 1 preceding) from m.u y limit 1)", "(select m.{z}a(y.a) from m.u y)"])
form("aggregate_ordered", DOMAIN + "create function m.{z}f(m.{z}d, int) returns m.{z}d language sql as 'select $1'; create function m.{z}g(m.{z}d, float8) "
     "returns int language sql as 'select 1'; create aggregate m.{z}a(float8 order by int) (sfunc = m.{z}f, stype = m.{z}d, initcond = '1', "
     "finalfunc = m.{z}g)", any=["(select m.{z}a(pi()) within group (order by y.a) from m.u y)"])

# Operators: folded, and run on the statistics of columns to estimate.
OPERATOR = ("create function m.{z}o(int, int) returns bool immutable language plpgsql as 'begin return m.{z}($1) = $2; end'; "
            "create function m.{z}b(bool, bool) returns bool immutable language plpgsql as 'begin return m.{z}(1) = 1; end'; ")
form("operator", OPERATOR + "create operator m.<#> (leftarg = int, rightarg = int, function = m.{z}o); "
     "create operator m.<#> (leftarg = bool, rightarg = bool, function = m.{z}b); create function m.{z}u(bool) returns bool immutable language plpgsql "
     "as 'begin return m.{z}(1) = 1; end'; create operator m.<#> (rightarg = bool, function = m.{z}u)",
     bool=["1 operator(m.<#>) 2", "1 <#> 2", "null::int <#> null::int", "true <#> true", "true operator(m.<#>) false", "<#> true", "operator(m.<#>) null::bool",
           "true <#> any (array[true])", "true <#> all (array[null]::bool[])", "<#> (<#> true)"])
for position, (name, restrict, join) in enumerate([
        ("eq", "eqsel", "eqjoinsel"), ("neq", "neqsel", "neqjoinsel"), ("lt", "scalarltsel", "scalarltjoinsel"), ("ge", "scalargesel", "scalargejoinsel"),
        ("matching", "matchingsel", "matchingjoinsel")]):
    sign = "&" + "<>=~|"[position] + "&"
    negator = f", negator = operator(m.{sign}&)" if name == "neq" else ""
    negated = f"create operator m.{sign}& (leftarg = int, rightarg = int, function = m.{{z}}o, restrict = eqsel); create operator m.{sign}& " \
        "(leftarg = bool, rightarg = bool, function = m.{z}b, restrict = eqsel); " if negator else ""
    form("operator_" + name, OPERATOR + negated + f"create operator m.{sign} (leftarg = int, rightarg = int, function = m.{{z}}o, restrict = {restrict}, "
         f"join = {join}{negator}); create operator m.{sign} (leftarg = bool, rightarg = bool, function = m.{{z}}b, restrict = {restrict}, join = {join}{negator})",
         bool=[f"x.a operator(m.{sign}) 5", f"x.a {sign} 5", f"x.c {sign} true", f"exists (select from m.u y where y.a {sign} x.a)",
               f"x.c operator(m.{sign}) (true and true)", f"x.a {sign} any (array[1, 2])", f"not (x.c {sign} true)", f"x.c {sign} any (array[true])",
               f"exists (select from m.u y join m.t w on w.a operator(m.{sign}) y.a)", f"x.a in (select y.a from m.u y where y.c {sign} true)",
               f"true {sign} x.c", f"x.a {sign} any (select y.a from m.u y)", f"x.a {sign} all (select y.a from m.u y where y.c {sign} x.c)",
               f"(select y.a from m.u y order by y.a {sign} y.id limit 1) = x.a", f"x.c {sign} (x.a is null)", f"x.c {sign} null"])
for name, restrict, join in [("like", "likesel", "likejoinsel"), ("regex", "regexeqsel", "regexeqjoinsel")]:
    sign = "~" + {"like": "|", "regex": "#"}[name] + "~"
    form("operator_" + name, "create function m.{z}o(text, text) returns bool immutable language plpgsql as 'begin return m.{z}(1) = 1; end'; "
         f"create operator m.{sign} (leftarg = text, rightarg = text, function = m.{{z}}o, restrict = {restrict}, join = {join})",
         bool=[f"x.b {sign} 'x'", f"x.b {sign} current_user::text", f"x.b {sign} version()", f"x.b {sign} any (array['x'])"])
form("operator_text", "create function m.{z}o(text, text) returns bool immutable language plpgsql as 'begin return m.{z}(1) = 1; end'; "
     "create operator m.~&~ (leftarg = text, rightarg = text, function = m.{z}o, restrict = eqsel, join = eqjoinsel)",
     bool=["x.b ~&~ 'x'", "exists (select from m.u y where y.b ~&~ x.b)", "x.b ~&~ current_user::text", "x.b ~&~ all (array['x'])", "null::text ~&~ null"])

# Built-in functions that run queries which they get as text, or read views by name.
form("xml", "create view m.{z}v as select m.{z}(1) + (random() * 0)::int as x; create view m.\"true\" as select m.{z}(1) + (random() * 0)::int as x",
     int=["length(table_to_xml('m.{z}v'::regclass, true, true, '')::text)", "length(query_to_xml('select * from m.{z}v', true, true, '')::text)",
          "length(table_to_xml(true::text::regclass, true, true, true::text)::text)",
          "length(query_to_xml_and_xmlschema('select m.{z}(1)', true, true, '')::text)",
          "length(table_to_xml_and_xmlschema(true::text::regclass, true, true, true::text)::text)",
          "length(query_to_xmlschema('select m.{z}(1)', true, true, '')::text)"],
     bool=["x.a = length(table_to_xml(true::text::regclass, true, true, false::text)::text)",
           "x.a > length(table_to_xml('m.{z}v', true, true, '')::text)", "x.b = query_to_xml('select m.{z}(1)', true, false, '')::text",
           "x.b like table_to_xmlschema(true::text::regclass, true, true, true::text)::text"])
form("xml_schema", "create schema z_only; grant usage on schema z_only to public; create view z_only.v as select m.{z}(1) + (random() * 0)::int as x",
     int=["length(schema_to_xml('z_only', true, true, '')::text)", "length(schema_to_xml_and_xmlschema('z_only', true, true, '')::text)"],
     bool=["x.a = length(schema_to_xml('z_only', true, true, '')::text)"])
form("xml_current_schema", "create schema z_current; grant usage on schema z_current to public; create view z_current.v as select m.{z}(1) + "
     "(random() * 0)::int as x", path="z_current, m, public",
     int=["length(schema_to_xml(current_schema(), true, true, true::text)::text)", "length(schema_to_xml(current_schema, true, true, null)::text)"],
     bool=["x.a = length(schema_to_xml(current_schema(), true, true, true::text)::text)",
           "x.a < length(schema_to_xml((current_schemas(false))[1], true, true, true::text)::text)"])
form("ts_stat", int=["(select count(*)::int from ts_stat('select to_tsvector(m.{z}(1)::text)'))"],
     bool=["ts_rewrite('a'::tsquery, 'select ''a''::tsquery, m.{z}(1)::text::tsquery') is null"])

# A trusted extension is its creator's, who may call what he likes a part of it.
EXTENSION = "create schema {z}; grant usage on schema {z} to public; create extension if not exists hstore schema {z}; "
form("extension_aggregate", EXTENSION + DOMAIN + "create aggregate m.{z}a(m.{z}d) (sfunc = array_append, stype = m.{z}d[], initcond = '{1}'); alter extension "
     "hstore add aggregate m.{z}a(m.{z}d)", any=["(select m.{z}a(null))", "(select m.{z}a(null) from m.u y)", "(select m.{z}a(null) over () from m.u y limit 1)"])
form("extension_function", "create function m.{z}f(bool) returns bool immutable language plpgsql as 'begin return m.{z}(1) = 1; end'; alter extension hstore add "
     "function m.{z}f(bool); create function m.{z}h(bool, bool) returns bool immutable language plpgsql as 'begin return m.{z}(1) = 1; end'; "
     "create operator m.@&@ (leftarg = bool, rightarg = bool, function = m.{z}h); alter extension hstore add function m.{z}h(bool, bool); alter extension hstore add operator m.@&@(bool, bool)",
     bool=["m.{z}f(true)", "m.{z}f(null)", "true operator(m.@&@) true", "null::bool @&@ true"])
form("extension_type", DOMAIN + "alter extension hstore add domain m.{z}d; create type m.{z}c as (a m.{z}d); alter extension hstore add type m.{z}c", any=["null::m.{z}d", "m.{z}d(null)", "row(null)::m.{z}c", "'{1}'::m.{z}d[]"])
form("extension_cast", "create type m.{z}e as enum ('sad'); create function m.{z}i(m.{z}e) returns int immutable language plpgsql as 'begin return m.{z}(1); end'; "
     "create cast (m.{z}e as int) with function m.{z}i(m.{z}e) as implicit; alter extension hstore add cast (m.{z}e as int); alter extension hstore add "
     "function m.{z}i(m.{z}e); alter extension hstore add type m.{z}e", any=["'sad'::m.{z}e + 1", "null::m.{z}e::int", "enum_first(null::m.{z}e) + 1"])
form("extension_schema", "create function z_extension_aggregate.lower(bool) returns int immutable language plpgsql as 'begin return m.{z}(1); end'; create function "
     "z_extension_aggregate.{z}o(bool, int) returns bool immutable language plpgsql as 'begin perform m.{z}(1); return true; end'; create operator "
     "z_extension_aggregate.= (leftarg = bool, rightarg = int, function = z_extension_aggregate.{z}o); create domain z_extension_aggregate.int8 as pg_catalog.int8 "
     "check (m.{z}(1) = 1)", path="z_extension_aggregate, m, public",
     bool=["exist(hstore(x.b, x.b), x.b) and lower(true) = 1", "hstore(x.b, x.b) ? x.b and (true = null::int)", "(hstore(x.b, x.b) -> x.b) is null and true in (null::int)",
           "exist(hstore(x.b, x.b), x.b) and lower(null::bool) is null", "exist(hstore(x.b, x.b), x.b) and null::z_extension_aggregate.int8 is null"])
form("extension_view", DOMAIN + "create aggregate m.{z}a(m.{z}d) (sfunc = array_append, stype = m.{z}d[], initcond = '{1}'); alter extension hstore add aggregate "
     "m.{z}a(m.{z}d); create view m.{z}v as select id, array_length(m.{z}a(null), 1) as a from m.t group by id", relation="m.{z}v")

# A search_path that puts the tenant's schemas before pg_catalog.
SHADOW_OPERATOR = ("create schema {z}; grant usage on schema {z} to public; create function {z}.o(int, int) returns bool immutable language plpgsql as "
                   "'begin perform m.{z}(1); return true; end'; create function {z}.t(pg_catalog.text, pg_catalog.text) returns bool immutable language plpgsql as "
                   "'begin perform m.{z}(1); return true; end'; ")
form("shadow_equals", SHADOW_OPERATOR + "create operator {z}.= (leftarg = int, rightarg = int, function = {z}.o, restrict = eqsel, join = eqjoinsel)",
     path="{z}, m, public, pg_catalog",
     bool=["null::int = null::int", "1 = 1", "1 in (1, 2)", "null::int in (null)", "1 is distinct from 2", "null::int is not distinct from null::int",
           "(null::int, null::int) = (null::int, null::int)", "null::int = any (array[null]::int[])", "nullif(null::int, null::int) is null",
           "case null::int when null then true end", "case 1 when 1 then true end", "x.a in (1, 2)", "x.a = any (select y.a from m.u y)",
           "exists (select from m.t p natural join m.u q)", "exists (select from m.t p join m.u q using (a))", "x.a not in (select y.a from m.u y)",
           "not (null::int = null::int)"])
form("shadow_compare", SHADOW_OPERATOR + "".join(f"create operator {{z}}.{sign} (leftarg = int, rightarg = int, function = {{z}}.o, restrict = "
     f"scalarltsel, join = scalarltjoinsel); " for sign in ("<=", ">=", "<", ">", "<>")), path="{z}, m, public, pg_catalog",
     bool=["null::int between null and null", "1 between 0 and 2", "null::int < null", "1 not between symmetric 3 and 2", "1 <> 2", "1 != 2",
           "x.a between 1 and 5", "x.a >= 1", "(null::int, null::int) < (null::int, null::int)", "null::int <> all (array[null]::int[])", "x.a not in (1)"])
form("shadow_like", SHADOW_OPERATOR + "".join(f"create operator {{z}}.{sign} (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = {{z}}.t, "
     f"restrict = eqsel, join = eqjoinsel); " for sign in ("~~", "~~*", "!~~", "!~~*", "~", "||")), path="{z}, m, public, pg_catalog",
     bool=["'a' like 'b'", "null::text like null", "'a' ilike 'b'", "'a' not like 'b'", "'a' similar to 'b'", "x.b like 'a%'", "x.b ilike any (array['a'])",
           "null::text ~ null", "x.b similar to 'a'", "'a'::text || 'b'::text", "null::text || null::text"])
form("shadow_arithmetic", SHADOW_OPERATOR + "".join(f"create operator {{z}}.{sign} (leftarg = int, rightarg = int, function = {{z}}.o); "
     for sign in ("+", "-", "*", "/", "%")) + "create function {z}.n(int) returns int immutable language plpgsql as 'begin return m.{z}(1); end'; "
     "create operator {z}.- (rightarg = int, function = {z}.n)", path="{z}, m, public, pg_catalog",
     any=["1 + 1", "null::int + null", "1 * 2", "- null::int", "- (1)", "1 % 1", "1 / 1", "null::int - null::int"])
form("shadow_functions", "create schema {z}; grant usage on schema {z} to public; create function {z}.lower(text) returns text immutable language plpgsql as "
     "'begin perform m.{z}(1); return $1; end'; create function {z}.abs(int) returns int immutable language plpgsql as 'begin return m.{z}(1); end'; "
     "create function {z}.now() returns timestamptz stable language sql as 'select m.{z}(1)::text::timestamptz'; create function {z}.pi() returns float8 "
     "immutable language plpgsql as 'begin return m.{z}(1); end'; create function {z}.length(text) returns int immutable language plpgsql as "
     "'begin return m.{z}(1); end'; create function {z}.version() returns text language sql immutable as 'select m.{z}(1)::text'",
     path="{z}, m, public, pg_catalog", any=["lower('A')", "lower(null)", "abs(1)", "abs(null)", "now()", "pi()", "length('x')", "version()",
                                                  "length(null)", "pg_catalog.abs(abs(null))"])
form("shadow_types", "create schema {z}; grant usage on schema {z} to public; " + "".join(
     f"create domain {{z}}.{name} as pg_catalog.{name} check (m.{{z}}(1) = 1); " for name in ("text", "date", "int8", "bool", "uuid", "jsonb", "name", "int4")),
     path="{z}, m, public, pg_catalog", any=["null::text", "'x'::text", "true::text", "text 'x'", "date '2020-01-01'", "1::int8", "null::uuid", "cast(null as jsonb)",
                                             "current_date::date", "true::bool", "bool(true)", "'{x}'::text[]", "current_user::name", "null::int4", "array[]::text[]"])

# Relations: what stands behind their names.
ROWS = "insert into {t} select i, i from generate_series(1, 200) i; "
TABLE = "create table m.{z}t(id int, a int); " + ROWS.replace("{t}", "m.{z}t")
form("view", "create view m.{z}v as select id, a from m.t where a > m.{z}(1)", relation="m.{z}v")
form("view_column", "create view m.{z}v as select id, m.{z}(1) as a from m.t", relation="m.{z}v")
form("view_deep", "create view m.{z}1 as select id, a from m.t where a > m.{z}(1); create view m.{z}2 as select * from m.{z}1; "
     "create view m.{z}3 as select * from m.{z}2 union all select * from m.{z}2; create view m.{z}v as select * from m.{z}3", relation="m.{z}v")
form("view_limit", "create view m.{z}v as select id, a from m.t limit m.{z}(1)", relation="m.{z}v")
form("view_order", "create view m.{z}v as select id, a from m.t order by a + m.{z}(1)", relation="m.{z}v")
form("view_join", OPERATOR + "create operator m.<&> (leftarg = int, rightarg = int, function = m.{z}o, join = eqjoinsel); "
     "create view m.{z}v as select t.id, t.a from m.t join m.u on t.a operator(m.<&>) u.a", relation="m.{z}v")
form("view_cast", "create table m.{z}t(id int, a int); insert into m.{z}t values (1, 1); create function m.{z}i(m.{z}t) returns int stable language sql as "
     "'select m.{z}(1)'; create cast (m.{z}t as int) with function m.{z}i(m.{z}t); create view m.{z}v as select id, y::int as a from m.{z}t y",
     relation="m.{z}v")
form("view_domain", DOMAIN + "create view m.{z}v as select id, a::m.{z}d as a from m.t", relation="m.{z}v")
form("view_aggregate", DOMAIN + "create function m.{z}f(m.{z}d, int) returns m.{z}d language sql as 'select $1'; create aggregate m.{z}a(int) "
     "(sfunc = m.{z}f, stype = m.{z}d, initcond = '1'); create view m.{z}v as select id, m.{z}a(a) as a from m.t group by id", relation="m.{z}v")
form("view_function", "create function m.{z}s() returns table(id int, a int) stable language sql as 'select id, a from m.t where a > m.{z}(1)'; "
     "create view m.{z}v as select * from m.{z}s()", relation="m.{z}v")
form("view_barrier", "create view m.{z}v with (security_barrier) as select id, a from m.t where a > m.{z}(1)", relation="m.{z}v")
form("view_default", "create view m.{z}v as select id, a from m.w; alter view m.{z}v alter column a set default m.{z}(1)", relation="m.{z}v", writes="insert")
form("view_check", "create view m.{z}v as select id, a from m.w where a > m.{z}(1) with check option", relation="m.{z}v", writes="all")
form("rule", "create table m.{z}t(id int, a int); create rule r as on insert to m.{z}t do also select m.{z}(1)", relation="m.{z}t", writes="insert")
form("rule_instead", "create view m.{z}v as select id, a from m.w where random() < 2; create rule r as on update to m.{z}v do instead update m.w "
     "set a = m.{z}(1) where id = old.id", relation="m.{z}v", writes="update")
form("rule_delete", "create table m.{z}t(id int, a int); create rule r as on delete to m.{z}t do also insert into m.w(id, a) values (m.{z}(1), 1)",
     relation="m.{z}t", writes="delete")
form("index_expression", TABLE + "create index on m.{z}t((a + m.{z}(1)))", relation="m.{z}t", writes="all")
form("index_predicate", TABLE + "create index on m.{z}t(id) where m.{z}(1) = 1", relation="m.{z}t", writes="all")
form("index_unique", TABLE + "create unique index on m.{z}t(id, (a + m.{z}(1)))", relation="m.{z}t", writes="all",
     statements=["insert into m.{z}t(id, a) values (1, 2) on conflict (id, (a + m.{z}(1))) do nothing"])
form("index_brin", TABLE + "create index on m.{z}t using brin ((a + m.{z}(1)))", relation="m.{z}t")
form("index_inner", TABLE + "create index on m.{z}t using hash ((a + m.{z}(1)))", relation="m.{z}t")
form("index_of_matview", "create materialized view m.{z}v as select id, a from m.t; create index on m.{z}v((a + m.{z}(1)))", relation="m.{z}v")
form("statistics", TABLE + "create statistics m.{z}s on (a + m.{z}(1)), id from m.{z}t; analyze m.{z}t", relation="m.{z}t")
form("check", "create table m.{z}t(id int, a int check (a > m.{z}(1) - 1000)); create table m.{z}c() inherits (m.{z}t)", relation="m.{z}t",
     statements=["select * from m.{z}t where a > 5", "select * from m.{z}c where a > 5", "select a from m.{z}t union all select a from m.{z}c",
                 "insert into m.{z}t(id, a) values (1, 2)"])
form("policy", TABLE + "alter table m.{z}t enable row level security; create policy p on m.{z}t using (a > m.{z}(1)); grant all on m.{z}t to public; "
     "alter table m.{z}t force row level security", relation="m.{z}t", writes="all")
form("policy_check", "create table m.{z}t(id int, a int); alter table m.{z}t enable row level security; alter table m.{z}t force row level security; "
     "create policy p on m.{z}t for insert with check (a > m.{z}(1)); create policy q on m.{z}t for select using (true)", relation="m.{z}t", writes="insert")
form("policy_subquery", "create view m.{z}v as select id from m.t where a > m.{z}(1); grant select on m.{z}v to public; " + TABLE +
     "alter table m.{z}t enable row level security; alter table m.{z}t force row level security; create policy p on m.{z}t using (id in (select id from m.{z}v))",
     relation="m.{z}t")
form("policy_of_view", TABLE + "alter table m.{z}t enable row level security; alter table m.{z}t force row level security; create policy p on m.{z}t using "
     "(a > m.{z}(1)); create view m.{z}v as select * from m.{z}t", relation="m.{z}v")
form("default", "create table m.{z}t(id int, a int default m.{z}(1))", relation="m.{z}t", writes="insert")
form("default_update", "create table m.{z}t(id int, a int default m.{z}(1))", statements=["update m.{z}t set a = default", "update m.{z}t set (id, a) = (1, default)",
     "insert into m.{z}t(id) select 1", "insert into m.{z}t values (1, default), (2, 3)"])
form("generated", "create table m.{z}t(id int, a int generated always as (id + m.{z}(1)) stored)", relation="m.{z}t", writes="update",
     statements=["insert into m.{z}t(id) values (1)", "insert into m.{z}t(id) select id from m.t", "update m.{z}t set id = id + id", "update m.{z}t set id = null"])
form("partition_key", "create table m.{z}t(id int, a int) partition by range ((a + m.{z}(1))); create table m.{z}c partition of m.{z}t for values from (0) "
     "to (1000); insert into m.{z}t select i, i from generate_series(1, 200) i", relation="m.{z}t", writes="all")
form("partition_list", "create table m.{z}t(id int, a int) partition by list ((m.{z}(1) + id)); create table m.{z}c partition of m.{z}t default", relation="m.{z}t",
     writes="all")
form("partition_index", "create table m.{z}t(id int, a int) partition by range (id); create table m.{z}c partition of m.{z}t for values from (0) to (1000); "
     "create index on m.{z}c((a + m.{z}(1))); insert into m.{z}t select i, i from generate_series(1, 200) i", relation="m.{z}t")
form("partition_check", "create table m.{z}t(id int, a int) partition by range (id); create table m.{z}c(id int, a int check (a > m.{z}(1) - 1000)); alter table "
     "m.{z}t attach partition m.{z}c for values from (0) to (1000)", relation="m.{z}t")
form("inherited_index", "create table m.{z}t(id int, a int); create table m.{z}c() inherits (m.{z}t); create table m.{z}g() inherits (m.{z}c); "
     "create index on m.{z}g((a + m.{z}(1))); insert into m.{z}g select i, i from generate_series(1, 200) i", relation="m.{z}t")
form("domain_column", DOMAIN + "create table m.{z}t(id int, a m.{z}d)", relation="m.{z}t", writes="insert",
     statements=["update m.{z}t set a = null", "insert into m.{z}t(id, a) values (1, 5)", "select * from m.{z}t where a = null"])
form("composite_column", DOMAIN + "create type m.{z}c as (a m.{z}d); create table m.{z}t(id int, a int, c m.{z}c)", relation="m.{z}t", writes="insert",
     statements=["update m.{z}t set c.a = null", "insert into m.{z}t(c.a) values (null)", "update m.{z}t set c = row(null)", "insert into m.{z}t(c) values ('(1)')"])
form("foreign_table", "create server {z}s foreign data wrapper postgres_fdw options (host '{socket}', port '{port}', dbname 'shop', use_remote_estimate 'true'); "
     "create user mapping for public server {z}s options (user 'z_far', password 'z'); create foreign table m.{z}t(id int, a int) server {z}s "
     "options (schema_name 'm', table_name 't')", relation="m.{z}t", writes="all", marker="user=z_far")
form("foreign_partition", "create server {z}s foreign data wrapper postgres_fdw options (host '{socket}', port '{port}', dbname 'shop', use_remote_estimate "
     "'true'); create user mapping for public server {z}s options (user 'z_far2', password 'z'); create table m.{z}t(id int, a int) partition by range (id); "
     "create foreign table m.{z}f partition of m.{z}t for values from (0) to (1000) server {z}s options (schema_name 'm', table_name 't')", relation="m.{z}t",
     marker="user=z_far2")
form("assignment_cast", "create type m.{z}e as enum ('sad'); create function m.{z}i(m.{z}e) returns int immutable language plpgsql as 'begin return m.{z}(1); "
     "end'; create cast (m.{z}e as int) with function m.{z}i(m.{z}e) as assignment",
     statements=["insert into m.w(id, a) values (1, 'sad'::m.{z}e)", "update m.w set a = null::m.{z}e", "insert into m.w(id, a) select 1, null::m.{z}e",
                 "update m.w set a = 'sad'::m.{z}e", "insert into m.w(id, a) values (1, 1) on conflict (id) do update set a = null::m.{z}e"])
form("conflict_arbiter", DOMAIN + "create table m.{z}t(id int, a int); create unique index on m.{z}t(id) where id > 0",
     statements=["insert into m.{z}t(id) values (1) on conflict (id) where id > 0 and '{1}'::m.{z}d[] is not null do nothing",
                 "insert into m.{z}t(id) values (1) on conflict (id) where id > 0 and m.{z}(1) = 1 do nothing",
                 "insert into m.{z}t(id) select id from m.t on conflict (id) where id > 0 and array[null]::m.{z}d[] is not null do nothing",
                 "insert into m.{z}t(id) values (1) on conflict (id) where m.{z}(null) is null and id > 0 do update set a = 1"])
form("virtual_column", "create table m.{z}t(id int, b bool, a int generated always as (id) virtual); create function m.z_virtual_column_c(m.{z}t) returns int "
     "stable language sql as 'select m.{z}(1)'", statements=["select y.{z}_c from m.{z}t y", "select m.{z}_c(y), y.a from m.{z}t y where y.a = 1"], first=18)
form("merge", "create table m.{z}t(id int, a int default m.{z}(1))", first=15, statements=[
     "merge into m.{z}t x using m.u y on x.id = y.id when not matched then insert (id) values (y.id)",
     "merge into m.{z}t x using m.u y on x.id = y.id when matched then update set a = default",
     "merge into m.w x using m.u y on x.id = y.id when matched and m.{z}(null) is null then delete",
     "merge into m.w x using m.u y on x.id = y.id and m.{z}(1) = 1 when matched then do nothing"])
form("several_statements", statements=["select 1; select m.{z}(1)", "select m.{z}(1); select 1", ";;select m.{z}(null)"])
form("built_in_effects", int=["pg_current_xact_id()::text::int", "txid_current()::int", "length(set_config('application_name', 'TRIPPED', false))",
     "length(pg_read_file('PG_VERSION'))", "nextval('m.tripped_times')::int", "length(pg_sleep(9)::text)", "length(pg_advisory_lock(4242, 7)::text)",
     "pg_terminate_backend(pg_backend_pid())::int", "length(lo_import('/etc/hosts')::text)", "length(pg_notify('a', 'b')::text)", "pg_stat_file('base')::text::int",
     "length(pg_logical_emit_message(false, 'a', 'b')::text)", "length(current_setting('data_directory'))", "pg_cancel_backend(1)::int",
     "pg_advisory_xact_lock(4242, 7)::text::int", "pg_ls_dir('.')::int", "length(pg_get_viewdef('m.z_viewv'::regclass))"])
form("utility", statements=["do $$ begin perform m.{z}(1); end $$", "create index on m.t((m.{z}(1) + id))", "create table m.{z}n(a int check (a > m.{z}(1)))",
     "alter table m.t add column {z}n int default m.{z}(1)", "analyze m.t(a)", "create view m.{z}n as select m.{z}(1)", "explain (analyze) select m.{z}(1)",
     "execute {z}p(m.{z}(1))", "refresh materialized view m.z_index_of_matviewv", "create rule r as on insert to m.t do also select m.{z}(1)",
     "create table m.{z}n partition of m.z_partition_keyt for values from (m.{z}(2000)) to (3000)", "call m.{z}p(m.{z}(1))"])
