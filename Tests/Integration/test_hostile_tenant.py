# SPDX-License-Identifier: Apache-2.0
"""One tenant makes up patterns, texts, names and addresses, and holds clients half open; the others notice nothing.

Twenty seconds; with PGWEIR_LONG=1 ten minutes.
"""
import itertools
import os
import random
import socket
import struct
import subprocess
import threading
import time
import urllib.request

from servers import wait_for
from servers.process import free_port

# What Documentation/operations.md says of memory: tables, what is listed, and what is priced.
MOST_MEBIBYTES = 900
PAREN = 3000


class Client:
    """A connection that speaks protocol 3.0 by hand."""

    def __init__(self, server, user, database="postgres", source=None, **parameters):
        self.socket = socket.create_connection((server.address, server.port), timeout=60, source_address=source and (source, 0))
        self.buffer = b""
        body = struct.pack("!i", 196608)
        for name, value in {"user": user, "database": database, **parameters}.items():
            body += name.encode() + b"\0" + value.encode() + b"\0"
        body += b"\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.done, self.failed = self.wait()

    def wait(self):
        """Until ReadyForQuery or the end: how many statements were done, and whether the server reported an error."""
        done, failed = 0, False
        while True:
            while len(self.buffer) < 5 or len(self.buffer) < 1 + struct.unpack("!i", self.buffer[1:5])[0]:
                data = self.socket.recv(1 << 16)
                if not data:
                    return done, True
                self.buffer += data
            length = 1 + struct.unpack("!i", self.buffer[1:5])[0]
            kind, self.buffer = self.buffer[:1], self.buffer[length:]
            done += kind == b"C"
            failed |= kind == b"E"
            if kind == b"Z":
                return done, failed

    def query(self, text):
        text = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)
        return self.wait()[0]

    def close(self):
        self.socket.close()


class Flood:
    """What the hostile tenant does, each kind in a thread of its own, until told to stop."""

    def __init__(self, server, page, control):
        self.server, self.page, self.control = server, page, control
        self.ends = threading.Event()
        self.counts, self.errors, self.lock = {}, [], threading.Lock()
        # What the daemon has counted: the flood waits for it, as what the kernel drops proves nothing.
        self.seen = 0
        kinds = (self.patterns, self.texts, self.prepared, self.names, self.applications, self.addresses, self.parentheses, self.half_open)
        self.threads = [threading.Thread(target=self.run, args=(kind,), daemon=True) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def run(self, kind):
        try:
            for done in kind():
                with self.lock:
                    self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + done
                while sum(self.counts.values()) - self.seen > 40000 and not self.ends.is_set():
                    time.sleep(0.01)
                if self.ends.is_set():
                    return
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append((kind.__name__, repr(error)))

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(60)
        return self.counts

    def patterns(self):
        client = Client(self.server, "flooder")
        for start in itertools.count(0, 2000):
            yield client.query(";".join(f"SELECT 1 AS a{start + n}" for n in range(2000)))

    def texts(self):
        client = Client(self.server, "flooder")
        for number in itertools.count():
            yield client.query(f"SELECT length('{'x' * 64000}') AS b{number}")

    def prepared(self):
        client = Client(self.server, "flooder")
        for number in itertools.count():
            yield client.query(f"PREPARE c{number} AS SELECT 1 AS c{number}") if number < 20000 else client.query("SELECT 1 AS d")

    def names(self):
        for number in itertools.count():
            client = Client(self.server, f"nobody_{number}_{random.randrange(1 << 30)}")
            assert client.failed
            client.close()
            yield 0

    def applications(self):
        for number in itertools.count():
            client = Client(self.server, "flooder", application_name=f"made up {number}")
            yield client.query("SELECT 1 AS applications")
            client.close()

    def addresses(self):
        for number in itertools.count():
            client = Client(self.server, "flooder", source=f"127.{1 + number // 60000 % 200}.{number // 250 % 240}.{1 + number % 250}")
            yield client.query("SELECT 1 AS addresses")
            client.close()

    def parentheses(self):
        client = Client(self.server, "flooder")
        for number in itertools.count():
            yield client.query(f"SELECT {'(' * PAREN}1{')' * PAREN} AS e{number}")

    def half_open(self):
        held = []
        for _ in range(50):
            held.append(socket.create_connection(("127.0.0.1", self.page)))
            held[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        for _ in range(4):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].connect(self.control)
        yield 0
        self.ends.wait()
        for each in held:
            each.close()
        yield 0


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))


def timed(action):
    start = time.monotonic()
    result = action()
    return time.monotonic() - start, result


def users(status):
    """Statements of each user."""
    counts = {}
    for row in status["report"]["users"]:
        counts[row["user"]] = counts.get(row["user"], 0) + row["statements"]
    return counts


def price(status, text):
    """What a pattern's executions cost on the average; 1000: nothing is known of it."""
    for row in status["report"]["patterns"]:
        if row["text"] == text and row["calls"]:
            return row["cost_units_low"] / row["calls"]
    return None


def test_one_tenant_cannot_take_the_tables_of_others(postgres, daemon, long):
    seconds = 600 if long else 20
    server = postgres("15", settings={"max_connections": "200"})
    server.ask("create role flooder login; create role ann login; create role ben login; create role pgweir_explain login;"
               "grant pg_read_all_data to pgweir_explain;"
               "create table small as select n as id, n % 7 as v from generate_series(1, 1000) n; alter table small add primary key (id);"
               "grant select on small to public; analyze small")
    page = free_port()
    watcher = daemon(server, "--explain", f"host={server.folder.path} port={server.port} user=pgweir_explain dbname=postgres",
                     "--explain-primary", "--web.listen-address", f"127.0.0.1:{page}", "--user-names", "plain")
    sent = {"ann": 0, "ben": 0}
    clients = {name: Client(server, name) for name in sent}

    def work(name, text, times=1):
        for _ in range(times):
            sent[name] += clients[name].query(text)

    def priced(number):
        """Runs a pattern that is new until it has a price; how long that took."""
        text = f"select count(*) as ann{number} from small"
        start = time.monotonic()

        def known():
            work("ann", text, 2)
            time.sleep(0.2)
            status = watcher.status()
            if flood:
                flood.seen = users(status).get("flooder", 0)
            cost = price(status, text)
            return cost is not None and cost < 999
        try:
            wait_for(known, seconds=60, what="a new pattern has a price", process=watcher.process)
        except TimeoutError as error:
            status = watcher.status()
            raise AssertionError(f"{text} has no price: {status['pricing']}, {status['report']['patterns'][:5]}, "
                                 f"{watcher.log.since()[-1000:]}") from error
        return time.monotonic() - start

    flood = None
    work("ben", "select v from small where id = 5", 50)
    before = priced(0)
    flood = Flood(server, page, watcher.socket)
    worst = {"rss": 0, "status": 0.0, "page": 0.0, "metrics": 0.0}
    prices = []
    end = time.monotonic() + seconds
    for number in itertools.count(1):
        prices.append(priced(number))
        work("ben", "select v from small where id = 5", 10)
        took, status = timed(watcher.status)
        worst["status"] = max(worst["status"], took)
        flood.seen = users(status).get("flooder", 0)
        for name, path in (("page", "/"), ("metrics", "/metrics")):
            took, answer = timed(lambda path=path: urllib.request.urlopen(f"http://127.0.0.1:{page}{path}", timeout=30).status)
            assert answer == 200
            worst[name] = max(worst[name], took)
        worst["rss"] = max(worst["rss"], resident(watcher.process.pid))
        if time.monotonic() > end and flood.counts.get("patterns", 0) > 200000:
            break
    counts = flood.stop()
    assert not flood.errors, flood.errors
    sent["flooder"] = sum(counts.values())
    # New users find room as before.
    server.ask("create role cat login")
    cat = Client(server, "cat", source="127.250.1.1")
    sent["cat"] = sum(cat.query("select 1") for _ in range(20))
    try:
        watcher.wait(lambda status: all(users(status).get(name) == count for name, count in sent.items()), 30,
                     "all statements are counted, with those who sent them")
    except TimeoutError as error:
        raise AssertionError(f"sent {sent}, counted {users(watcher.status())}") from error
    after = priced(1_000_000)
    status = watcher.status()
    report = status["report"]
    told = sum(row["calls"] + row["errors"] for row in report["patterns"])
    ben = [row for row in report["patterns"] if row["text"] == "select v from small where id = ?"]
    took, code = timed(watcher.stop)
    print(f"{seconds} s: {counts}; worst {worst}; stop {took:.1f} s")
    print(f"a price took {before:.1f} s before, {sorted(prices)[len(prices) // 2]:.1f} s ({max(prices):.1f} s at most) meanwhile, {after:.1f} s after")
    print({name: status["pricing"].get(name) for name in ("waiting", "known", "asked", "priced", "failed", "overflow")})
    assert code == 0 and took < 15
    assert ben and ben[0]["calls"] == sent["ben"]
    assert told == sum(row["completed"] + row["errors"] for row in report["users"]) or told >= sum(sent.values()), (told, sent)
    assert worst["rss"] < MOST_MEBIBYTES, worst
    assert worst["status"] < 2 + 1 and worst["page"] < 3 and worst["metrics"] < 3, worst
