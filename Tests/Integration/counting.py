# SPDX-License-Identifier: Apache-2.0
"""Traffic of several users in all protocols, and what PostgreSQL itself counted of it, to compare reports with."""
import json
import re

PLANNABLE = ("select", "insert", "update", "delete", "merge", "values", "with", "table")
USERS = ("ann", "ben", "cat")


def prepare(server):
    """A database with pgbench's tables and pg_stat_statements, and the users of the traffic."""
    server.ask("create database shop")
    for user in USERS:
        server.ask(f"create role {user} login superuser")
    server.ask("create extension pg_stat_statements", "shop")
    server.tool("pgbench", "-i", "-q", "-h", server.folder_path, "-p", str(server.port), "-U", "admin", "shop")


def traffic(server):
    for mode in ("simple", "extended", "prepared"):
        for user in USERS:
            server.client(user, "pgbench", "-n", "-M", mode, "-c", "3", "-t", "40")
    server.client("ann", "psql", "-X", "-c", "select 1; select 2; select count(*) from pgbench_accounts")
    server.client("ann", "psql", "-X", "-c", "select 1; select 1/0; select 3", check=False)
    server.client("ben", "psql", "-X", "-c", "copy pgbench_branches to stdout")
    script = "begin;\nprepare p as select * from pgbench_tellers where tid = $1;\nexecute p(1);\nexecute p(2);\n"
    script += "deallocate p;\ncommit;\nselect nonsense;\nselect 'x' || generate_series(1, 500);\n"
    server.client("cat", "psql", "-X", input=script)
    server.client("cat", "psql", "-X", "-v", "FETCH_COUNT=7", "-c", "select * from generate_series(1, 50)")


def statistics(server):
    """What pg_stat_statements counted: user, calls, text."""
    rows = server.ask("select json_agg(json_build_array(rolname, calls::text, query)) from pg_stat_statements s "
                      "join pg_roles r on r.oid = s.userid where toplevel", "shop")
    return json.loads(rows)


def counted(rows, report):
    """{user: (queries that PostgreSQL counted, queries in the report)}."""
    counts = {}
    for user in USERS:
        truth = sum(int(calls) for name, calls, query in rows
                    if name == user and re.sub(r"^[\s(]+", "", query.lower()).startswith(PLANNABLE + ("prepare",)))
        counts[user] = (truth, sum(entry["plannable"] for entry in report["users"] if entry["user"] == user))
    return counts


def assert_same(rows, report):
    """Each user's finished queries in the report are those that PostgreSQL counted, and there are some."""
    counts = counted(rows, report)
    assert all(truth == found and truth > 0 for truth, found in counts.values()), f"(PostgreSQL, pgweir): {counts}"
