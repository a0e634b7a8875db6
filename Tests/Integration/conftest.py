# SPDX-License-Identifier: Apache-2.0
"""Fixtures: real servers, the daemon and replays. Each fixture is a factory; all that a test starts ends with the test.

    def test_x(postgres, daemon):
        server = postgres("17", settings={"log_statement": "all"})
        follower = server.standby()
        watcher = daemon(server, "--explain", follower.conninfo("pgweir_explain"))

Options and environment: --pgweir PATH or PGWEIR; PGWEIR_SEED for random tests; PGWEIR_LONG=1 for full counts.
"""
import os
import random
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import servers  # noqa: E402
from servers.options import LONG, SEED  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--pgweir", help="the program under test; else $PGWEIR, the release or the debug build")


def pytest_configure(config):
    if config.getoption("--pgweir"):
        os.environ["PGWEIR"] = os.path.abspath(config.getoption("--pgweir"))
    config.addinivalue_line("markers", "long: only in full runs (PGWEIR_LONG=1)")


def pytest_report_header():
    return f"PGWEIR_SEED={SEED} PGWEIR_LONG={int(LONG)}"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not LONG:
            item.add_marker(pytest.mark.skip(reason="only in full runs: PGWEIR_LONG=1"))


@pytest.fixture
def long():
    """Whether full counts are asked for."""
    return LONG


@pytest.fixture
def seed(request):
    """A seed for this test, the same whichever other tests run."""
    print(f"PGWEIR_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.nodeid}").randrange(1 << 32)


def factory(kind):
    """A fixture that makes servers and stops them, the last one first; what this machine cannot have skips the test."""
    @pytest.fixture
    def make():
        started = []

        def one(*arguments, **options):
            try:
                started.append(kind(*arguments, **options))
            except servers.Missing as missing:
                pytest.skip(str(missing))
            return started[-1]
        yield one
        for server in reversed(started):
            server.stop()
    return make


postgres = factory(servers.Postgres)
pgbouncer = factory(servers.PgBouncer)
redis = factory(servers.Redis)
scripted = factory(servers.ScriptedPgBouncer)
namespace = factory(servers.Namespace)
systemd = factory(servers.Systemd)
relay = factory(servers.Relay)
certificate = factory(servers.Certificate)


@pytest.fixture
def pgweir():
    try:
        return servers.pgweir()
    except servers.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def daemon(pgweir):
    """`pgweir run`. A daemon that a test leaves running has to be alive at its end and to stop with 0."""
    started = []

    def one(*arguments, **options):
        started.append(servers.Daemon(*arguments, program=pgweir, **options))
        return started[-1]
    yield one
    errors = []
    for running in reversed(started):
        try:
            if not os.path.exists(running.folder.path):
                continue
            alive = running.process.poll() is None
            running.stop(check=alive)
        except AssertionError as error:
            errors.append(error)
    assert not errors, errors


@pytest.fixture
def replay(pgweir):
    return lambda capture, *options, **more: servers.replay(capture, *options, program=pgweir, **more)
