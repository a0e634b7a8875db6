# SPDX-License-Identifier: Apache-2.0
"""Random programs of the protocol, run by a real server under a tap: the replay tells of each statement what the server did.

What is right comes from the answers that the client got, statement by statement, and from the server's own log, which has to agree.
PGWEIR_LONG=1 runs 10,000 programs; the seed is printed, and PGWEIR_SEED repeats it.
"""
import collections
import json
import os
import random
import re
import struct
import subprocess
import threading

import pytest
from protocol_programs import ANY, Generator, Session
from servers import wait_for
from servers.process import run, start

USERS = ["u0", "u1", "u2", "u3"]
PREPARED = """
create table t (id int primary key, note text); insert into t select g, 'n' from generate_series(1, 8) g;
create table w (id int); grant all on t, w to public;
create table d (id int primary key, other int references d deferrable initially deferred);
create function cycle() returns trigger language plpgsql as $$ begin raise exception 'late'; end $$;
create constraint trigger late after insert on d deferrable initially deferred for each row execute function cycle();
grant all on d to public;
create function raise(code text) returns int language plpgsql as $$ begin raise exception 'mine' using errcode = code; end $$;
"""


@pytest.fixture
def site(postgres, tmp_path):
    def make(version):
        server = postgres(version, settings={"log_min_duration_statement": "0", "logging_collector": "on", "log_destination": "jsonlog",
                                             "log_directory": "jsonlog", "log_rotation_size": "0", "max_connections": "500"})
        server.ask(PREPARED + "".join(f"create role {user} login;" for user in USERS))
        return server
    return make


class Tap:
    def __init__(self, server, path):
        self.path, self.server = path, server
        self.process = start(["tcpdump", "-i", "lo", "-s", "0", "-B", "65536", "-U", "-Z", "root", "-w", path, f"tcp port {server.port}"],
                             stderr=subprocess.PIPE)
        self.process.stderr.readline()
        server.ask("select pg_sleep(0.5)")

    def has(self, text):
        with open(self.path, "rb") as file:
            file.seek(max(0, os.path.getsize(self.path) - (1 << 16)))
            return text in file.read()

    def stop(self):
        # What came before the last packet is in the file when that is.
        self.server.connect().query("select 'the last packet'")
        wait_for(lambda: self.has(b"the last packet"), what="the tap's last packet")
        self.process.terminate()
        said = self.process.stderr.read().decode()
        self.process.wait(30)
        assert "0 packets dropped by kernel" in said, said


def run_programs(server, count, seed):
    """Sessions by their port, in the order in which they were opened."""
    sessions, lock, errors = collections.defaultdict(list), threading.Lock(), []

    def work(worker):
        try:
            for number in range(worker, count, 4):
                generator = Generator(random.Random(f"{seed} {number}"), int(server.version))
                session = Session(server.address, server.port, USERS[number % 4])
                session.number = number
                with lock:
                    sessions[session.port].append(session)
                session.run(generator.program())
        except Exception as error:  # pylint: disable=broad-except
            errors.append(f"program {number}: {type(error).__name__}: {error}")
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors and crashes(server):
        # PostgreSQL itself does not survive every program: about one of 20,000 ends a process of it by a segmentation fault.
        print("the server crashed:", crashes(server), errors)
        return None
    assert not errors, errors
    return sessions


def crashes(server):
    """What the log says of a server process that ended by a signal, and what it ran."""
    folder = os.path.join(server.data, "jsonlog")
    return [line for name in sorted(os.listdir(folder)) if name.endswith(".json")
            for line in open(os.path.join(folder, name), encoding="utf-8", errors="replace") if "terminated by signal" in line]


def logged(server):
    """By port and process: Query messages, portals and errors of the server's log."""
    found = {}
    folder = os.path.join(server.data, "jsonlog")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            for line in file:
                entry = json.loads(line) if line.startswith("{") else {}
                if entry.get("user") not in USERS:
                    continue
                counts = found.setdefault((entry.get("remote_port"), entry["pid"]), collections.Counter())
                if entry["error_severity"] in ("ERROR", "FATAL"):
                    counts[entry["state_code"]] += 1
                elif match := re.match(r"duration: \S+ ms  (statement|execute fetch|execute)", entry["message"]):
                    counts[{"statement": "simple", "execute": "portals"}.get(match[1], "fetches")] += 1
    by_port = collections.defaultdict(list)
    for (port, _), counts in found.items():
        by_port[port].append(counts)
    return by_port


def replayed(pgweir, capture, port):
    lines = run([pgweir, "replay", capture, "--port", str(port), "--format", "ndjson"]).stdout.splitlines()
    found = collections.defaultdict(dict)
    # The tap's own last packet may have the port of a session that is long over.
    for line in (one for one in map(json.loads, lines) if one["pgweir.user"] != "admin"):
        found[line["client.port"]].setdefault(line["pgweir.session"], []).append(line)
    return {port: [lines for _, lines in sorted(known.items())] for port, known in found.items()}


def spelled(pattern):
    """A pattern without what is a matter of spelling: blanks, and whether a name that SQL gives to something is left in it."""
    if pattern is None:
        return None
    plain = re.sub(r'"[^"]*"|\$\d+', "?", pattern)
    plain = re.sub(r"^(prepare|execute|deallocate|savepoint|release savepoint|rollback to savepoint|declare|close|fetch \? from) (?!all$)\w+", r"\1 ?", plain)
    return plain.replace(" ", "")


def matches(line, expected):
    protocol, outcome, pattern, code, rows = expected
    outcomes = {"continued": ("completed",), "suspended": ("completed", "failed"), "broken": ("failed",)}.get(outcome, (outcome,))
    return (line["pgweir.protocol"] == protocol and line["pgweir.outcome"] in outcomes
            and (pattern == ANY or protocol == "function_call" or spelled(line["db.query.text"]) == spelled(pattern))
            and (outcome != "failed" or line["db.response.status_code"] == code)
            and (outcome != "completed" or line["db.response.returned_rows"] == rows))


def differences(session, lines):
    """What the replay says of a session and the client does not, and the other way round."""
    if any(line["pgweir.user"] != session.user for line in lines):
        return [f"charged to {set(line['pgweir.user'] for line in lines)}, ran as {session.user}"]
    left = [line for line in lines if line["pgweir.outcome"] not in ("skipped", "uncertain")]
    missing = []
    order = ["completed", "failed", "continued", "broken", "suspended"]
    for expected in sorted((one for one in session.ended if one[1] != "skipped"), key=lambda one: (one[2] == ANY, order.index(one[1]))):
        found = next((line for line in left if matches(line, expected)), None)
        if found is None:
            missing.append(expected)
        else:
            left.remove(found)
    for code, count in session.refusals.items():
        refused = [line for line in left if (line["pgweir.outcome"], line["db.response.status_code"]) == ("failed", code)]
        left = [line for line in left if not any(line is one for one in refused[:count])]
    more = [(line["pgweir.protocol"], line["pgweir.outcome"], line["db.query.text"], line["db.response.status_code"],
             line["db.response.returned_rows"]) for line in left]
    uncertain = sum(line["pgweir.outcome"] == "uncertain" for line in lines)
    if uncertain != session.unanswered:
        more.append(f"{uncertain} uncertain, not {session.unanswered}")
    return [f"missing {one}" for one in missing] + [f"more {one}" for one in more]


def check_log(server, sessions):
    """The client's own bookkeeping agrees with the server's log, but for what was not answered."""
    known = logged(server)
    for port, own in sessions.items():
        told = known.get(port, [])
        if len(own) != 1 or len(told) != 1 or own[0].unanswered or own[0].is_late:
            continue
        counts = {name: count for name, count in told[0].items() if name != "fetches" and count}
        assert counts == {name: count for name, count in own[0].counts.items() if count}, (own[0].number, own[0].ended)


@pytest.mark.parametrize("version", ["15", "18"])
def test_every_statement_is_told_as_the_server_ran_it(version, site, pgweir, seed, long, tmp_path):
    for attempt in range(3):
        server = site(version)
        tap = Tap(server, str(tmp_path / f"tap{attempt}.pcap"))
        sessions = run_programs(server, 5000 if long else 250, seed + attempt)
        if sessions is not None:
            break
        tap.process.terminate()
    assert sessions is not None, "the server crashed three times"
    tap.stop()
    check_log(server, sessions)
    found = replayed(pgweir, tap.path, server.port)
    wrong = {}
    for port, own in sessions.items():
        told = [lines for lines in found.get(port, []) if any(line["pgweir.outcome"] != "skipped" for line in lines)]
        spoken = [one for one in own if any(known[1] != "skipped" for known in one.ended) or one.unanswered or one.refusals]
        if len(told) != len(spoken):
            wrong[own[0].number] = f"{len(told)} sessions told, {len(spoken)} were there"
            continue
        for session, lines in zip(spoken, told):
            if difference := not session.is_late and differences(session, lines):
                wrong[session.number] = difference
    for number in sorted(wrong)[:10]:
        print(f"program {number}: {wrong[number]}")
    assert not wrong, f"{len(wrong)} of {sum(map(len, sessions.values()))} sessions differ; seed {seed}"
    damage(pgweir, tap.path, server.port, sessions, random.Random(seed), tmp_path)


def packets(path):
    with open(path, "rb") as file:
        data = file.read()
    place = 24
    found = []
    while place + 16 <= len(data):
        size = struct.unpack_from("<I", data, place + 8)[0]
        found.append(data[place:place + 16 + size])
        place += 16 + size
    return data[:24], found


QUERIES = ("select", "insert", "update", "delete", "with")


def damage(pgweir, path, port, sessions, chance, folder):
    """With packets missing the truth lies between the proven and the possible cost."""
    ran, refused, queries = collections.Counter(), collections.Counter(), 0
    for own in sessions.values():
        for session in own:
            for _, outcome, pattern, code, _ in session.ended:
                # What is no query costs what its class does.
                queries += outcome not in ("failed", "skipped") and isinstance(pattern, str) and pattern.split(" ")[0] in QUERIES
                if outcome == "failed":
                    refused[session.user] += 1
                elif outcome != "skipped":
                    ran[session.user] += 1
    head, all_packets = packets(path)
    cuts = {"one in fifty lost": [one for one in all_packets if chance.random() > 0.02],
            "one in five lost": [one for one in all_packets if chance.random() > 0.2],
            "begins late": all_packets[len(all_packets) // 3:], "ends early": all_packets[:len(all_packets) // 2]}
    for name, kept in cuts.items():
        damaged = str(folder / "damaged.pcap")
        with open(damaged, "wb") as file:
            file.write(head + b"".join(kept))
        report = json.loads(run([pgweir, "replay", damaged, "--port", str(port), "--format", "json"]).stdout)
        for user in (one for one in report["users"] if one["user"] in USERS):
            most = 1000 * (ran[user["user"]] + refused[user["user"]])
            assert user["cost_units_low"] <= most, (name, user)
            assert user["completed"] <= ran[user["user"]], (name, user)
        if name.endswith("lost"):
            high = sum(one["cost_units"] for one in [*report["users"], report["unattributed"]])
            assert high >= 1000 * queries, (name, high, queries)
