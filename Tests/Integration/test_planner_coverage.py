# SPDX-License-Identifier: Apache-2.0
"""What is refused for safety may not be what honest applications ask: Django's, SQLAlchemy's and pgbench's traffic gets prices."""
import planner_coverage
import pytest
import servers
from planner_traps import lab
from servers import Postgres
from servers.options import LONG


@pytest.mark.parametrize("version", ["15", "17", "18"] if LONG else ["15"])
@pytest.mark.parametrize("client", planner_coverage.CLIENTS)
def test_honest_traffic_is_priced(client, version, pgweir):
    try:
        server = Postgres(version, settings={"log_statement": "all", "autovacuum": "off"})
    except servers.Missing as missing:
        pytest.skip(str(missing))
    try:
        server.ask("create role app login createdb; create database shop owner app")
        server.ask("grant all on schema public to app", "shop")
        with open(lab.ROLE, encoding="utf-8") as file:
            server.ask(file.read(), "shop")
        try:
            coverage = planner_coverage.measure(server, client, pgweir)
        except servers.Missing as missing:
            pytest.skip(str(missing))
        print(coverage.table())
        assert coverage.total >= {"django": 250, "sqlalchemy": 150, "pgbench": 10}[client]
        assert coverage.refused_share <= planner_coverage.MOST_REFUSED
        assert coverage.priced_share >= planner_coverage.LEAST_PRICED
    finally:
        server.stop()
