# SPDX-License-Identifier: Apache-2.0
"""Sessions in encodings where the second byte of a character may be a backslash, a bracket or a letter.

The server converts before it reads; what pgweir makes of the bytes is compared with what pg_stat_statements counted.
"""
import contextlib
import json
import random
import subprocess

import pytest
from servers import Postgres, wait_for
from servers.wire import message

ENCODINGS = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "UHC", "JOHAB"]
# What a trail byte could be taken for: backslash, brackets, operators, and the letters that introduce strings.
TRAILS = [0x5C, 0x5B, 0x5D, 0x40, 0x5E, 0x60, 0x7B, 0x7C, 0x7D, 0x7E, 0x45, 0x65, 0x55, 0x58, 0x4E, 0x42]
SECRET = b"geheim4711"
# `@`: the character.
FORMS = [
    b"select count(*) from person where name = E'@' and note = '%'", b"select count(*) from person where name = E'C:\\\\@' or note = '%'",
    b"select count(*) from person where name = '@' and note = E'%@'", b"update person set note = E'@\\\\' where name = E'%@'", b"select 1 where E'@\\'' = '%'",
    b"select count(*) from person where name = $x@$%$x@$ and note = '@'", b"select count(*) from person where name = E'@@\\\\@' -- @ '%'",
    b"select count(*) /* @ ' % */ from person where note = U&'%@' or name = N'@%'", b"select E'@', E'%', E'\\@%'",
]


@pytest.fixture(scope="module", name="server")
def server_():
    server = Postgres("15", settings={"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_utility": "off"})
    server.ask("create extension pg_stat_statements; create table person(name text, note text); grant all on person to public;"
               "create role ann login")
    yield server
    server.stop()


@contextlib.contextmanager
def captured(server, path):
    """What passes to the server meanwhile."""
    tcpdump = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "-B", "65536", "-s", "0", "-w", path, f"port {server.port}"], stderr=subprocess.PIPE)
    tcpdump.stderr.readline()
    try:
        yield
        with contextlib.closing(server.connect("ann")) as connection:
            connection.ask("select 'the end'")
        with open(path, "rb") as file:
            wait_for(lambda: (file.seek(0), b"the end" in file.read())[1], what="the last statement is in the capture")
    finally:
        tcpdump.terminate()
        tcpdump.wait(30)


def characters(encoding, choose, long):
    """Every character whose last byte is a backslash, and of the other trail bytes some, or all."""
    leads = [lead for lead in range(0x81, 0xFF) if encoding not in ("SJIS", "SHIFT_JIS_2004") or not 0xA0 <= lead <= 0xDF]
    found = [bytes((lead, 0x5C)) for lead in leads]
    others = [bytes((lead, trail)) for lead in leads for trail in TRAILS[1:]]
    found += others if long else choose.sample(others, 120)
    if encoding.startswith("S"):
        found += [bytes([one]) for one in range(0xA1, 0xE0, 1 if long else 7)]
    if encoding == "GB18030":
        found += [bytes((0x81, 0x30 + choose.randrange(10), 0x81 + choose.randrange(100), 0x30 + choose.randrange(10))) for _ in range(50)]
    if encoding == "JOHAB":
        found += [bytes((0xB0 + one, 0xA1 + choose.randrange(94))) for one in range(20)]
    return found


def send(connection, text):
    """A simple Query of bytes; whether the server took it."""
    connection.send(message(b"Q", text + b"\0"))
    return not connection.until_ready()[1]


def report(pgweir, server, path):
    command = [pgweir, "replay", "--port", str(server.port), "--top", "10000"]
    outputs = {form: subprocess.run([*command, "--format", form, path], capture_output=True, check=True).stdout for form in ("json", "text", "ndjson")}
    for form, output in outputs.items():
        assert b"geheim" not in output, (form, output[max(0, output.index(b"geheim") - 200):][:400])
    return json.loads(outputs["json"])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_the_server_counts_is_counted_and_no_literal_shows(server, pgweir, tmp_path, seed, long, encoding):
    choose = random.Random(seed)
    server.ask("select pg_stat_statements_reset()")
    path, taken, refused = str(tmp_path / "x.pcap"), 0, 0
    with captured(server, path):
        with contextlib.closing(server.connect("ann", client_encoding=encoding)) as connection:
            for character in characters(encoding, choose, long):
                form = choose.choice(FORMS)
                for text in {form, FORMS[0]}:
                    if send(connection, text.replace(b"@", character).replace(b"%", SECRET)):
                        taken += 1
                    else:
                        refused += 1
    found = report(pgweir, server, path)
    statements = found["statements"]
    print(f"{encoding}: {taken} taken, {refused} refused")
    # Of JOHAB PostgreSQL takes only what looks like EUC, of UHC only letters stand behind a lead byte.
    assert taken > 20 and statements["total"] == taken + refused + 1, (taken, refused, statements)
    # Each shape as often as the server counted it; `select $1, $2` is that of the end, too.
    counted = dict(line.rsplit("|", 1) for line in server.ask(
        "select case when query like 'update%' then 'update' when query like '%/*%' then 'comment' when query like '%or note = $2%' then 'or'"
        " when query like '%and note = $2%' then 'and' when query like '%name = $1 --%' then 'line' else 'none' end, sum(calls)"
        " from pg_stat_statements s join pg_roles r on r.oid = s.userid where rolname = 'ann' and query not like '%$1' group by 1").splitlines())
    ours = {}
    for pattern in found["patterns"]:
        text = pattern["text"] or ""
        kind = ("update" if text.startswith("update") else "and" if text.endswith("and note = ?") else "or" if text.endswith("name = ? or note = ?")
                else "comment" if text.endswith("note = ? or name = ?") else "line" if text.endswith("name = ?") else None)
        if kind and pattern["calls"]:
            ours[kind] = ours.get(kind, 0) + pattern["calls"]
    assert {kind: int(count) for kind, count in counted.items() if kind in ours} == ours, (counted, ours)
    assert set(ours) >= {"and", "or"}


def test_the_encoding_is_followed_through_pipelined_statements(server, pgweir, tmp_path):
    """SET and what is read by it are sent at once, so that the server's report comes behind both."""
    wide, latin = b"select 1 where E'\x95\x5c' = '%'", b"select 1 where E'\xe9\\'%' = ''"
    server.ask("select pg_stat_statements_reset()")
    path, expected = str(tmp_path / "x.pcap"), 0
    rounds = [
        ("LATIN1", [b"set client_encoding to 'Shift-JIS'", wide, b"set names 'latin1'", latin, b"SET NAMES 'mskanji'", wide, b"reset client_encoding", latin]),
        ("SJIS", [wide, b"set names 'latin1'", latin, b"discard all", wide, b"set client_encoding = latin1; select '%'", latin, b"reset all", wide]),
        ("LATIN1", [b"begin", b"set local client_encoding to sjis", wide, b"set client_encoding to latin1", latin, b"commit"]),
        ("UTF8", [b"select set_config('client_encoding', 'GBK', false)"]),
    ]
    with captured(server, path):
        for encoding, texts in rounds:
            with contextlib.closing(server.connect("ann", client_encoding=encoding)) as connection:
                connection.send(*[message(b"Q", text.replace(b"%", SECRET) + b"\0") for text in texts])
                for text in texts:
                    assert connection.until_ready()[1] == [], text
                    expected += 2 if text.count(b";") else 1
                if encoding == "UTF8":
                    assert send(connection, wide.replace(b"%", SECRET))
                    expected += 1
    found = report(pgweir, server, path)
    assert found["statements"]["total"] == expected + 1, (expected, found["statements"])
    calls = {pattern["text"]: pattern["calls"] for pattern in found["patterns"]}
    assert calls["select ? where ? = ?"] == sum(text in (wide, latin) for _, texts in rounds for text in texts) + 1, calls


@pytest.mark.parametrize("encoding", ["SJIS", "GBK", "LATIN1", "UTF8"])
def test_a_session_joined_on_its_way_shows_no_literal(server, pgweir, tmp_path, encoding):
    path = str(tmp_path / "x.pcap")
    text = {"UTF8": "select E'é\\'%' = '%'".encode(), "LATIN1": b"select E'\xe9\\'%' = '%'"}.get(encoding, b"select E'\x95\x5c' = '%'")
    with contextlib.closing(server.connect("ann", client_encoding=encoding)) as connection:
        with captured(server, path):
            assert send(connection, b"select 1")
            for _ in range(3):
                assert send(connection, text.replace(b"%", SECRET))
            assert send(connection, b"set client_encoding to " + encoding.encode())
            assert send(connection, text.replace(b"%", SECRET))
    calls = {pattern["text"]: pattern["calls"] for pattern in report(pgweir, server, path)["patterns"]}
    if encoding == "UTF8":
        assert calls["select ? = ?"] == 4, calls
    else:
        # What the text means is not known until the session says it.
        assert calls["select ? = ?"] == 1, calls
