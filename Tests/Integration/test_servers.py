# SPDX-License-Identifier: Apache-2.0
"""Scripts/servers and the fixtures: each server comes, is reached as told, and leaves nothing, however its owner ends."""
import json
import os
import signal
import subprocess

import pytest
from servers import wait_for
from servers.pgbouncer import VERSIONS as POOLERS
from servers.postgres import VERSIONS

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Scripts/servers")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def begin(*words):
    process = subprocess.Popen([SCRIPT, *words, "--json"], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line and process.wait() == 69:
        pytest.skip(f"{words} cannot be had here")
    return process, json.loads(line)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("words", [("postgres", "15"), ("pgbouncer", "1.18"), ("redis",), ("systemd",)], ids=" ".join)
def test_a_server_ends_with_its_owner_and_leaves_nothing(words, end):
    process, told = begin(*words)
    assert is_running(told["pid"]) and os.path.isdir(told["folder"])
    process.send_signal(end)
    code = process.wait(60)
    wait_for(lambda: not is_running(told["pid"]), what="the server ends")
    wait_for(lambda: not os.path.exists(told["folder"]), what="its folder goes")
    assert code == (-9 if end == signal.SIGKILL else 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_command_gets_the_server_and_gives_its_code(version):
    done = subprocess.run([SCRIPT, "postgres", version, "--", "sh", "-c", "psql -XAtc 'show server_version'; exit 3"],
                          capture_output=True, text=True, check=False)
    if done.returncode == 69:
        pytest.skip(done.stderr)
    assert done.stdout.startswith(version) and done.returncode == 3, done


@pytest.mark.parametrize("version", POOLERS)
def test_pgbouncer_of_each_version_pools(version, postgres, pgbouncer):
    server = postgres()
    server.ask("create role ann login")
    pooler = pgbouncer(version, server)
    assert pooler.describe()["version"].startswith(f"PgBouncer {version}.")
    done = subprocess.run(["psql", "-XAtc", "select current_user", pooler.conninfo()], capture_output=True, text=True, check=True)
    assert done.stdout == "ann\n"


def test_a_standby_follows(postgres):
    primary = postgres()
    standby = primary.standby()
    primary.ask("create table t as select 7 as id")
    standby.caught_up()
    assert standby.ask("select id, pg_is_in_recovery() from t") == "7|t"


def test_what_cannot_be_had_is_said(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    done = subprocess.run([SCRIPT, "postgres", "16"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 69 and "16" in done.stderr and "Traceback" not in done.stderr, done
    assert subprocess.run([SCRIPT, "postgres", "9"], capture_output=True, check=False).returncode == 64


def test_namespaces_are_joined(namespace, redis):
    one, two = namespace(), namespace()
    one.join(two, "10.99.0.1/24", "10.99.0.2/24")
    server = redis("--protected-mode", "no", wrap=two.wrap, address="10.99.0.2")
    done = one.run("redis-cli", "-h", "10.99.0.2", "-p", str(server.port), "ping")
    assert done.stdout == "PONG\n"


def test_the_daemon_sees_a_statement(postgres, daemon):
    server = postgres()
    watcher = daemon(server)
    subprocess.run(["psql", "-Xc", "select 1", server.conninfo()], capture_output=True, check=True)
    watcher.wait(lambda status: any(row["text"] == "select ?" for row in status["report"]["patterns"]), what="the statement is counted")
    assert watcher.stop() == 0


def test_a_replay_reports(replay):
    capture = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Fixtures/Captures/pooled_apps_a.pcap")
    assert replay(capture)["patterns"]
