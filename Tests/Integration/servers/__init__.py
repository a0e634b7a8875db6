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
from servers.relay import Certificate, Relay
from servers.scripted_console import ScriptedPgBouncer
from servers.systemd import Systemd
from servers.wire import Connection, ServerError

__all__ = ["Certificate", "Connection", "Daemon", "Missing", "Namespace", "PgBouncer", "Postgres", "Redis", "Relay", "ScriptedPgBouncer",
           "ServerError", "Systemd", "free_port", "pgweir", "replay", "wait_for"]
