# SPDX-License-Identifier: Apache-2.0
"""The same traps through the daemon: tenants' packets on a tap, simple and extended protocol, parameters of odd types, backslashes."""
import os
import random

import pytest
import servers
from planner_traps import lab
from planner_traps.forms import FORMS
from planner_traps.statements import generate
from servers import Postgres, wait_for
from servers.options import LONG, SEED
from servers.wire import message, parse, text

COUNT = 12 if LONG else 1

# standard_conforming_strings is off: a backslash hides the quote, and what stands behind it is code.
BACKSLASHES = ["select '\\'; select m.z_literal(1); --', length('x')", "select '\\', m.z_literal(1), '\\''", "select 'a\\'' || m.z_literal(1)::text || '\\''",
               "select '\\\\', m.z_noarg0(), '\\\\'", "select E'\\'', m.z_null(null), 'x'"]


@pytest.mark.skipif(os.getuid() != 0, reason="taps need root")
@pytest.mark.parametrize("version", ["14", "15", "16", "17", "18"] if LONG else ["15"])
@pytest.mark.parametrize("kind", ["primary", "standby"])
def test_the_daemon_runs_nothing(version, kind, daemon):
    print(f"PGWEIR_SEED={SEED}")
    if kind == "primary" and not LONG:
        pytest.skip("a slice asks a standby, as daemons do")
    try:
        primary = Postgres(version, settings=lab.SETTINGS)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    try:
        lab.trap(primary)
        asked = primary
        if kind == "standby":
            asked = primary.standby(lab.SETTINGS)
            asked.caught_up()
        watcher = daemon(primary, "--explain", asked.conninfo(lab.EXPLAINER, "shop"), *(["--explain-primary"] if kind == "primary" else []))
        # A foreign table's connection is the tenant's own where the tenant runs the statement.
        foreign = {form.name for form in FORMS if form.marker}
        statements = [statement for statement in generate(int(version), SEED, COUNT) if statement.form not in foreign]
        judge = lab.Judge(*{primary, asked})
        tenant = login(primary)
        random.Random(SEED).shuffle(statements)
        path = None
        for number, statement in enumerate(statements):
            if statement.path != path:
                path = statement.path
                tenant.ask(f"set search_path = {path}")
            try:
                tenant.ask("begin")
                if number % 2 and ";" not in statement.text:
                    tenant.extended(statement.text, values=[None] if "$1" in statement.text else [])
                else:
                    tenant.query(statement.text)
                tenant.ask("rollback")
            except ConnectionError:
                # The tenant terminates itself in some.
                tenant, path = login(primary), None
        odd_types(tenant, primary)
        tenant.ask("set search_path = m, public")
        tenant.ask("set standard_conforming_strings = off")
        for sql in BACKSLASHES:
            tenant.query(sql)
        tenant.close()
        # A harmless statement behind all the others: when it has its price, the planner was asked about those too. What is only
        # waiting for nobody may still be on its way.
        honest = primary.connect(lab.TENANT, "shop")

        def is_done():
            watcher.assert_alive()
            honest.ask("select x.id as behind_the_traps from m.t x where x.a = 5")
            status = watcher.status()
            rows = [row for row in status["report"]["patterns"] if "behind_the_traps" in row["text"]]
            return rows and rows[0]["cost_units"] < 999 * rows[0]["calls"] and status["pricing"]["waiting"] == 0
        wait_for(is_done, 120 + len(statements), "all prices were asked")
        honest.close()
        wait_for(lambda: not asked.ask(f"select 1 from pg_stat_activity where usename = '{lab.EXPLAINER}' and state = 'active'"), 60, "the server rests")
        counters = watcher.pricing()
        trips = judge.trips()
        print(f"PostgreSQL {version} {kind}: {len(statements)} sent, "
              f"{ {name: counters.get(name) for name in ('asked', 'priced', 'failed', 'unsafe', 'server_errors')} }, trips {trips}")
        watcher.assert_alive()
        assert counters["asked"] > 0.3 * len(statements) and counters["priced"] > 0, counters
        assert not trips, trips
        # The tenant itself runs nextval here, where the seed has it so; test_planner_traps.py tells whether a planner did.
        assert not [trace for trace in judge.traces() if trace != "a sequence moved"]
    finally:
        primary.stop()


def login(server):
    tenant = server.connect(lab.TENANT, "shop")
    tenant.ask("set statement_timeout = '300ms'")
    return tenant


def odd_types(tenant, server):
    """Parse messages that give their parameters types with code behind them, and types that nobody may use."""
    names = "'z_domaind', 'z_compositec', '_z_domaind', 'z_ranger', 'z_enum_caste', 'z_domain_of_domain4'"
    rows = server.ask(f"select typname, oid from pg_type where typname in ({names})", "shop").splitlines()
    found = {row.split("|")[0]: int(row.split("|")[1]) for row in rows}
    odd = {"record": 2249, "cstring": 2275, "internal": 2281, "any": 2276, "void": 2278, "nobody's": 4294967295, "trigger": 2279, "regclass": 2205}
    for oid in {**found, **odd}.values():
        for sql in (f"select $1 as p{oid}", f"select $1 is null as q{oid} from m.t", f"insert into m.w(id) select 1 where $1 is null and {oid} > 0"):
            tenant.ask("begin")
            tenant.send(parse(sql, [oid]), message(b"B", text("") * 2 + b"\0\0\0\1\xff\xff\xff\xff\0\0"), message(b"E", text("") + b"\0\0\0\0"), message(b"S"))
            tenant.until_ready()
            tenant.ask("rollback")
