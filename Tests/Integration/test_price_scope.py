# SPDX-License-Identifier: Apache-2.0
"""One text, several prices: what a role's settings and a pooler's names for databases make of it."""
import contextlib
import os

import pytest
from servers import wait_for
from servers.wire import Connection

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="taps need root")
TEXT = "select sum(total) from invoice"
SETUP = """
create schema acme; create schema beta;
create table acme.invoice as select g id, g total from generate_series(1, 100) g;
create table beta.invoice as select g id, g total from generate_series(1, 200000) g;
create role acme_app login; create role beta_app login; create role ann login; create role prices login;
grant usage on schema acme, beta to public; grant select on all tables in schema acme, beta to public;
analyze
"""


def planned(server, schema, database):
    answer = server.ask(f"set search_path = {schema}; explain {TEXT}", database)
    return float(answer.split("..")[1].split(" ")[0])


def charges(watcher, client, user, text=TEXT):
    """What one execution is charged before its time counts: asked again and again until there is a price."""
    def rows():
        return [row for row in watcher.status()["report"]["users"] if row["user"] == user]

    def cost():
        return sum(row["cost_units_low"] for row in rows())

    def known():
        before = cost()
        client.ask(text)
        wait_for(lambda: sum(row["statements"] for row in rows()) and cost() != before, 20, "it is charged", watcher.process)
        charge = cost() - before
        return charge if charge != 1000 else None
    return wait_for(known, 60, f"{user} has a price", watcher.process)


@pytest.mark.parametrize("by", ["role", "role in database", "database"])
def test_a_roles_search_path_tells_the_price(by, postgres, daemon):
    server = postgres("15", settings={"autovacuum": "off"})
    server.ask("create database shop; create database other")
    for database in ("shop", "other"):
        server.ask(SETUP if database == "shop" else SETUP.replace("create role acme_app login; create role beta_app login; create role ann login; create role prices login;", ""),
                   database)
    users = {"acme_app": ("shop", "acme"), "beta_app": ("shop", "beta")}
    if by == "role":
        server.ask("alter role acme_app set search_path = acme; alter role beta_app set search_path = beta")
    elif by == "role in database":
        server.ask("alter role acme_app set search_path = beta; alter role beta_app set search_path = acme;"
                   "alter role acme_app in database shop set search_path = acme; alter role beta_app in database shop set search_path = beta")
    else:
        server.ask("alter database shop set search_path = acme; alter database other set search_path = beta")
        users["beta_app"] = ("other", "beta")
    watcher = daemon(server, "--explain", server.conninfo("prices", "shop"), "--explain-primary")
    # Which role comes first must not matter: both have one text.
    for user, (database, schema) in reversed(users.items()):
        with contextlib.closing(server.connect(user, database)) as client:
            plan, charge = planned(server, schema, database), charges(watcher, client, user)
            print(f"  {by}: {user} {charge:.2f}, the planner {plan:.2f}")
            assert plan / 4 < charge < plan * 4 + 60


def test_a_poolers_name_for_a_database_is_no_other_database(postgres, pgbouncer, daemon):
    server = postgres("15", settings={"autovacuum": "off"})
    server.ask("create database shop")
    server.ask(SETUP, "shop")
    server.ask("create role watcher login")
    pooler = pgbouncer("1.18", server, sections=f"[databases]\nnick = host={server.address} port={server.port} dbname=shop\n")
    watcher = daemon(pooler, "--explain", server.conninfo("prices", "shop"), "--explain-primary", "--pooler",
                     f"host={pooler.address} port={pooler.port} user=watcher dbname=pgbouncer")
    text = "select sum(total) from beta.invoice"
    with contextlib.closing(Connection(pooler.address, pooler.port, "ann", "nick")) as client:
        charge = charges(watcher, client, "ann", text)
    plan = planned(server, "beta", "shop")
    print(f"  through a pooler's name: {charge:.2f}, the planner {plan:.2f}")
    assert plan / 4 < charge < plan * 4
    assert "nick" not in watcher.log.since()


@pytest.mark.parametrize("said", ["nothing", "a default"])
def test_durations_teach_without_a_planner(said, postgres, daemon, tmp_path):
    server = postgres("15")
    server.ask("create role ann login; create role beth login")
    path = tmp_path / "pgweir.yaml"
    path.write_text("pricing:\n  default: 7\n" if said == "a default" else "{}\n", encoding="utf-8")
    watcher = daemon(server, "--config", str(path))
    with contextlib.closing(server.connect("ann", "postgres")) as client:
        if said == "a default":
            assert charges(watcher, client, "ann", "select 1") == 7
            for _ in range(100):
                client.ask("select 1")
            wait_for(lambda: watcher.status()["report"]["users"][0]["statements"] == 101, 20, "all are seen", watcher.process)
            assert watcher.status()["report"]["users"][0]["cost_units"] == 707
            assert watcher.status()["report"]["statements"]["assumed_prices"] == 101
            return
        assert charges(watcher, client, "ann", "commit") < 0.2, "a class has its price at once"
        # Some microseconds are a unit or less; a statement that nobody knows costs 1000.
        def cheap():
            before = charges(watcher, client, "ann", "select 1")
            return before is not None and before < 500
        wait_for(cheap, 60, "what is quick is cheap", watcher.process)
        # A price that was told counts from the next execution on.
        wait_for(lambda: client.ask("commit") is not None and watcher.status()["report"]["statements"]["assumed_prices"] == 0, 20,
                 "nothing is assumed", watcher.process)
