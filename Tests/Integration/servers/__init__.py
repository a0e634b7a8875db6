# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests: each in a temporary folder, on a private port, gone when its test is.

`Scripts/servers` starts one by hand; the fixtures of conftest.py start them for pytest.
"""
from servers.daemon import Daemon, pgweir, replay
from servers.namespace import Namespace
from servers.pgbouncer import PgBouncer
from servers.postgres import Postgres
from servers.process import Missing, free_port, wait_for
from servers.redis import Redis
from servers.systemd import Systemd

__all__ = ["Daemon", "Missing", "Namespace", "PgBouncer", "Postgres", "Redis", "Systemd", "free_port", "pgweir", "replay",
           "wait_for"]
