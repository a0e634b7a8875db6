# SPDX-License-Identifier: Apache-2.0
"""Operators and functions that users define under built-in names: whatever the server would choose of them is not priced as the built-in one,
and those that it cannot choose take nobody's price away.

Which one is chosen, the server says: a view of the statement depends on it.
"""
import random

import pytest
import servers
from planner_traps import lab
from servers import Postgres
from servers.options import LONG, SEED

COLUMNS = ["int4", "int8", "numeric", "float8", "text", "varchar", "bpchar", "name", "bool", "date", "regclass", "oid", "inet", "cidr", "int4[]"]
USERS = ["m.mood", "m.sad", "m.pair", "m.dom", "m.domi", "m.plain", "m.stringy", "m.near", "m.mood[]", "m.r"]
OPERATORS = ["=", "<>", "<", ">=", "~~", "||", "+", "-", "@>", "~~~"]
FUNCTIONS = ["lower", "length", "abs", "concat_ws", "coalesce_", "left", "date_trunc", "replace"]
LITERALS = ["'a'", "'1'", "1", "1.5", "null", "true", "'a'::text", "'a'::varchar", "'1'::int8", "'{1}'::int4[]", "row(1, 2)", "array[1]"]
SETUP = """
create schema m; grant usage on schema m to public;
create type m.mood as enum ('a', '1'); create type m.sad as enum ('a', '1'); create type m.pair as (a int, b int);
create domain m.dom as varchar; create domain m.domi as int; create type m.r as range (subtype = int4);
""" + "".join(f"""
create type m.{name}; create function m.{name}in(cstring) returns m.{name} strict immutable language internal as '{base}in';
create function m.{name}out(m.{name}) returns cstring strict immutable language internal as '{base}out';
create type m.{name} (input = m.{name}in, output = m.{name}out, like = {base}{more});
""" for name, base, more in (("plain", "int8", ""), ("stringy", "text", ", category = 'S'"), ("near", "int8", ""))) + """
create cast (int8 as m.near) without function as implicit; create cast (int8 as m.plain) without function as assignment;
"""


class Definition:
    """A user's operator or function under a built-in name."""

    def __init__(self, random_, number):
        self.types = [random_.choice(USERS if random_.random() < 0.6 else COLUMNS) for _ in range(2)]
        self.is_operator = random_.random() < 0.7
        self.name = random_.choice(OPERATORS if self.is_operator else FUNCTIONS)
        behaviour = f"{random_.choice(['volatile', 'immutable'])} language plpgsql as 'begin return true; end'"
        if self.is_operator:
            self.text = (f"create function m.f{number}({', '.join(self.types)}) returns bool {behaviour}; "
                         f"create operator m.{self.name} (leftarg = {self.types[0]}, rightarg = {self.types[1]}, function = m.f{number})")
        else:
            self.types = self.types[:random_.randint(1, 2)]
            self.text = f"create function m.{self.name}({', '.join(self.types)}) returns bool {behaviour}"


def statement(random_, defined, has_users):
    """Uses a name that is defined; operands are columns, literals and NULLs of any type, mostly of one that is taken."""
    one = random_.choice(defined)

    def operand(wanted):
        kind = random_.random()
        type_ = wanted if random_.random() < 0.4 else random_.choice(COLUMNS + USERS * has_users)
        if kind < 0.4 and type_ in COLUMNS:
            return f"x.c{COLUMNS.index(type_)}"
        if kind < 0.4 and has_users:
            return f"y.u{USERS.index(type_)}"
        if kind < 0.5 and (has_users or type_ in COLUMNS):
            return f"null::{type_}"
        return random_.choice(LITERALS)
    operands = [operand(type_) for type_ in one.types]
    what = f" {one.name} ".join(operands) if one.is_operator else f"{one.name}({', '.join(operands)})"
    place = random_.choice(["select {} as a from {}", "select x.c0 from {1} where ({0}) is not null", "select case when ({}) is null then 1 end as a from {}",
                            "select x.c0 from {1} order by {0}", "select count(*) as a from {1} group by ({0})"])
    return place.format(what, "m.t x, m.u y" if has_users else "m.t x")


def chosen(session, path, sql):
    """What of the user's operators and functions a statement depends on; `None` where the server does not take it."""
    _, errors = session.query(f"begin; set local search_path = {path}; create view m.probe as {sql}")
    found = None
    if not errors:
        # This question is not to use them itself.
        rows = session.ask("set local search_path = pg_catalog; select coalesce(string_agg(distinct d.refclassid::regclass || ' ' || d.refobjid, ', '), '') "
                           "from pg_depend d join pg_rewrite r on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass where r.ev_class = 'm.probe'::regclass "
                           "and d.refclassid in ('pg_operator'::regclass, 'pg_proc'::regclass) and d.refobjid >= 16384")
        found = rows[0][0]
    session.query("rollback")
    return found


# Definitions that no statement without their types can mean, and such statements: they are priced all the same.
FAR = ["create function m.far(m.mood, m.mood) returns bool language plpgsql as 'begin return true; end'; "
       "create operator m.= (leftarg = m.mood, rightarg = m.mood, function = m.far)",
       "create function m.far(int, m.plain) returns bool language plpgsql as 'begin return true; end'; "
       "create operator m.= (leftarg = int, rightarg = m.plain, function = m.far)",
       "create function m.lower(m.mood) returns text language plpgsql as 'begin return 1; end'"]
BESIDE = ["select x.c1 from m.t x where x.c0 = 1", "select x.c0 from m.t x where lower(x.c4) = 'a'", "select x.c0 from m.t x where x.c5 = 'a' and 'a' = 'b'"]
DROP = """
do $$ declare o record; begin
    for o in select oid::regoperator::text as o from pg_operator where oprnamespace = 'm'::regnamespace loop execute 'drop operator ' || o.o; end loop;
    for o in select oid::regprocedure::text as o from pg_proc where pronamespace = 'm'::regnamespace
        and prolang = (select oid from pg_language where lanname = 'plpgsql') loop execute 'drop function ' || o.o; end loop;
end $$
"""


@pytest.mark.parametrize("version", ["15", "18"] if LONG else ["15"])
def test_what_the_server_would_choose_is_never_priced_as_built_in(version, pgweir):
    print(f"PGWEIR_SEED={SEED}")
    random_ = random.Random(SEED)
    try:
        server = Postgres(version)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    asked = priced = users_choice = 0
    wrong = []
    try:
        server.ask("create database shop")
        server.ask(SETUP + f"create table m.t({', '.join(f'c{n} {name}' for n, name in enumerate(COLUMNS))}); "
                   f"create table m.u({', '.join(f'u{n} {name}' for n, name in enumerate(USERS))})", "shop")
        with open(lab.ROLE, encoding="utf-8") as file:
            server.ask(file.read(), "shop")
        session = server.connect("admin", "shop")
        asker = lab.Asker(pgweir, server.conninfo(lab.EXPLAINER, "shop"), "--explain-primary")
        for text in FAR:
            session.ask(text)
        for sql in BESIDE:
            for path in ("m", "m, pg_catalog"):
                assert not chosen(session, path, sql), sql
                answer = asker.price(sql, path)
                assert answer and answer["method"] == "generic", (sql, path, answer)
        session.ask(DROP)
        for _ in range(400 if LONG else 12):
            defined = []
            while not defined:
                made = [Definition(random_, number) for number in range(random_.randint(1, 3))]
                defined = [one for one in made if not session.query(one.text)[1]]
            for _ in range(30):
                sql = statement(random_, defined, random_.random() < 0.3)
                path = random_.choice(["m", "m, pg_catalog"])
                found = chosen(session, path, sql)
                if found is None:
                    continue
                answer = asker.price(sql, path)
                assert answer, sql
                asked += 1
                priced += answer["method"] == "generic"
                users_choice += bool(found)
                if found and answer["method"] == "generic":
                    wrong.append(([one.text for one in defined], path, sql, found))
            session.query(DROP)
        asker.close()
        session.close()
    finally:
        server.stop()
    print(f"{asked} statements taken by the server; {priced} priced, {users_choice} with a user's operator or function")
    assert not wrong, (len(wrong), wrong[:3])
    assert users_choice
