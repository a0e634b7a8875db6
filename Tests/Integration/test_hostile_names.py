# SPDX-License-Identifier: Apache-2.0
"""Names that move a cursor, forge lines, hide or reorder what stands beside them are harmless in everything that people read."""
import csv
import io
import os
import socket
import struct
import subprocess
import unicodedata

import pytest
from servers import Postgres, wait_for
from test_hostile_tenant import Client

NAMES = ["\u202eevil", "<b>&'\"", "+1,\"x",  "a\u200bb", "esc\x1b[2J", "two\nlines", "c1\x9b31m", "\u2066iso\u2069", "tag\U000e0041", "sep\u2028x", "tab\tx", "del\x7f"]
UNPRINTABLE = {"Cc", "Cf", "Zl", "Zp"}
CONFIG = "quota:\n  mode: warn\n  default_tier: small\n  tiers:\n    small: {hourly: 2}\n"


def unprintable(text):
    """What a terminal would not show, but for the ends of lines."""
    return sorted({f"U+{ord(one):04X}" for one in text if one != "\n" and unicodedata.category(one) in UNPRINTABLE})


@pytest.fixture(scope="module", name="server")
def server_():
    server = Postgres("15")
    for place, name in enumerate(NAMES):
        quoted = name.replace('"', '""')
        server.ask(f'create role "{quoted}" login; create database "{quoted}"')
        server.ask(f'create table "t{place}{quoted}"(id int)', database=name)
        server.ask(f'grant all on "t{place}{quoted}" to public', database=name)
    yield server
    server.stop()


@pytest.mark.parametrize("form", ["text", "logfmt", "json"])
def test_names_are_harmless_in_all_that_people_read(server, daemon, tmp_path, form):
    config = tmp_path / "pgweir.yaml"
    config.write_text(CONFIG)
    watcher = daemon(server, "--config", config, "--user-names", "plain", "--log.format", form, "--format", "text")
    clients = []
    for place, name in enumerate(NAMES):
        clients.append(Client(server, name, database=name, application_name=name))
        for _ in range(5):
            assert clients[-1].query('select * from "t{}{}"'.format(place, name.replace('"', '""'))) == 1
    watcher.wait(lambda status: sum(user["statements"] for user in status["report"]["users"]) >= 5 * len(NAMES), what="all statements are counted")
    watcher.wait(lambda _: "small" in watcher.log.since(), what="a verdict is logged")
    commands = [["status", "--format", "text"], ["top", "--batch", "-n", "1"], ["top", "--batch", "-n", "1", "--table", "patterns"],
                ["top", "--batch", "-n", "1", "--table", "sessions"], ["quota", "list"], ["quota", "history"],
                ["report", "--state", watcher.state], ["report", "--state", watcher.state, "--by", "database"]]
    commands += [["quota", verb, name] for name in NAMES for verb in ("show", "why")]
    said = {" ".join(command): watcher.ask(*command, check=False) for command in commands}
    said = {command: done.stdout + done.stderr for command, done in said.items()}
    said |= {"the log": watcher.log.since(), "its output": watcher.output.since()}
    for client in clients:
        client.close()
    assert watcher.stop() == 0
    wrong = {command: unprintable(text) for command, text in said.items() if unprintable(text)}
    assert not wrong, wrong
    # They were there.
    assert "evil" in said["quota list"] and "evil" in said["the log"] and "evil" in said["status --format text"]


def test_who_is_named_twice_is_who_the_server_says(server, daemon):
    """Parameters of a start-up packet that come twice: the last one holds, and the one named before pays nothing."""
    server.ask('create role "victim" login; create role "real one" login')
    watcher = daemon(server, "--user-names", "plain")
    pairs = ["user", "victim", "database", "template1", "options", "-c work_mem=1MB", "user", "real one", "database", "postgres"]
    body = struct.pack("!i", 196608) + b"".join(word.encode() + b"\0" for word in pairs) + b"\0"
    with socket.create_connection((server.address, server.port)) as client:
        client.settimeout(30)
        client.sendall(struct.pack("!i", len(body) + 4) + body)
        query = b"select current_user, current_database()\0"
        client.sendall(b"Q" + struct.pack("!i", len(query) + 4) + query)
        said = b""
        while b"SELECT 1" not in said:
            said += client.recv(4096)
        assert b"real one" in said and b"postgres" in said and b"victim" not in said
        users = wait_for(lambda: {(user["user"], user["database"]): user["statements"] for user in watcher.status()["report"]["users"]
                                  if user["user"] in ("victim", "real one")}, what="the statement is somebody's")
        assert users == {("real one", "postgres"): 1}, users


def test_names_are_harmless_in_the_report_of_a_capture(server, pgweir, tmp_path):
    capture = str(tmp_path / "x.pcap")
    tcpdump = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "-s", "0", "-w", capture, f"port {server.port}"], stderr=subprocess.PIPE)
    tcpdump.stderr.readline()
    for place, name in enumerate(NAMES):
        client = Client(server, name, database=name, application_name=name)
        client.query('select * from "t{}{}"'.format(place, name.replace('"', '""')))
        client.close()
    with open(capture, "rb") as file:
        wait_for(lambda: (file.seek(0), f"t{len(NAMES) - 1}".encode() in file.read())[1], what="the last statement is in the capture")
    tcpdump.terminate()
    tcpdump.wait(30)
    forms = [[], ["--full"], ["--format", "ndjson"], ["--format", "html"], ["--format", "csv"]]
    for options in [*forms, *(["--by", by] for by in ("database", "client", "pattern", "application")), ["--by", "pattern", "--format", "csv"]]:
        done = subprocess.run([pgweir, "replay", "--port", str(server.port), "--top", "100", *options, capture], capture_output=True, text=True,
                              check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        if "html" in options:
            assert "<b>" not in done.stdout and "&lt;b&gt;&amp;&#39;&quot;" in done.stdout
        if "csv" in options:
            rows = list(csv.reader(io.StringIO(done.stdout, newline="")))
            assert len({len(row) for row in rows}) == 1, rows
            # Names are data, to the last character, but no spreadsheet's formula.
            if "--by" not in options:
                wanted = {("'" if name[0] in "=+-@\t\r" else "") + name for name in NAMES}
                assert {row[0] for row in rows[1:]} == wanted, rows
        elif "ndjson" not in options:
            assert not unprintable(done.stdout + done.stderr), (options, unprintable(done.stdout + done.stderr))
            assert "evil" in done.stdout or "client" in options
