# SPDX-License-Identifier: Apache-2.0
"""One tenant makes up patterns, texts, names and addresses, and holds clients half open; the others notice nothing.

Twenty seconds; with PGWEIR_LONG=1 ten minutes.
"""
import itertools
import random
import socket
import struct
import threading
import time
import urllib.request

from planner_traps.lab import ROLE
from servers import wait_for
from servers.process import free_port

# What Documentation/operations.md says of memory: tables, what is listed, and what is priced.
MOST_MEBIBYTES = 900
PAREN = 3000
# How far the flood may be ahead of the daemon, in bytes of the ring: a fifth of it, as this interface shows each packet twice, and
# others are there, too. What the ring takes, about: of an answer to a statement, of a round trip, of a connection.
AHEAD = 12 << 20
ANSWER, ROUND_TRIP, CONNECTION = 80, 700, 2000


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


def ran(client, text):
    """How many statements of a text were done, and what they took in the ring."""
    done = client.query(text)
    return done, len(text) + done * ANSWER + ROUND_TRIP


def connected(client, text):
    """The same of a client's first text."""
    done, size = ran(client, text)
    return done, size + CONNECTION


class Flood:
    """What the hostile tenant does, each kind in a thread of its own, until told to stop.

    It stays `AHEAD` ahead of what the daemon has counted: a flood that is faster than a machine's tap proves nothing of the tables.
    Without a pace it shows that what is lost then is told.
    """

    def __init__(self, server, page, control, is_paced=True):
        self.server, self.page, self.control, self.is_paced = server, page, control, is_paced
        self.ends = threading.Event()
        self.counts, self.bytes, self.errors, self.lock = {}, 0, [], threading.Lock()
        # Bytes that the daemon has taken, as far as is known.
        self.confirmed = 0
        kinds = (self.patterns, self.texts, self.prepared, self.names, self.applications, self.addresses, self.parentheses, self.half_open)
        self.threads = [threading.Thread(target=self.run, args=(kind,), daemon=True) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def run(self, kind):
        try:
            for done, size in kind():
                with self.lock:
                    self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + done
                    self.bytes += size
                while self.is_paced and self.is_ahead() and not self.ends.is_set():
                    time.sleep(0.01)
                if self.ends.is_set():
                    return
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append((kind.__name__, repr(error)))

    def total(self):
        """Statements and bytes that were answered."""
        with self.lock:
            return sum(self.counts.values()), self.bytes

    def is_ahead(self):
        return self.total()[1] - self.confirmed > AHEAD

    def watch(self, ask):
        """Asks for the daemon's status, and lets the flood go on as far as it has followed."""
        statements, size = self.total()
        status = ask()
        if users(status).get("flooder", 0) >= statements:
            self.confirmed = size
        if self.is_paced:
            capture = status["report"]["capture"]
            assert not capture["kernel_dropped"] and not capture["gaps"], f"packets were lost, so counts prove nothing: {capture}"
        return status

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(60)
        return self.counts

    def patterns(self):
        client = Client(self.server, "flooder")
        for start in itertools.count(0, 2000):
            yield ran(client, ";".join(f"SELECT 1 AS a{start + n}" for n in range(2000)))

    def texts(self):
        client = Client(self.server, "flooder")
        for number in itertools.count():
            yield ran(client, f"SELECT length('{'x' * 64000}') AS b{number}")

    def prepared(self):
        client = Client(self.server, "flooder")
        for number in itertools.count():
            yield ran(client, f"PREPARE c{number} AS SELECT 1 AS c{number}" if number < 20000 else "SELECT 1 AS d")

    def names(self):
        for number in itertools.count():
            client = Client(self.server, f"nobody_{number}_{random.randrange(1 << 30)}")
            assert client.failed
            client.close()
            yield 0, CONNECTION

    def applications(self):
        for number in itertools.count():
            client = Client(self.server, "flooder", application_name=f"made up {number}")
            yield connected(client, "SELECT 1 AS applications")
            client.close()

    def addresses(self):
        for number in itertools.count():
            client = Client(self.server, "flooder", source=f"127.{1 + number // 60000 % 200}.{number // 250 % 240}.{1 + number % 250}")
            yield connected(client, "SELECT 1 AS addresses")
            client.close()

    def parentheses(self):
        client = Client(self.server, "flooder")
        for number in itertools.count():
            yield ran(client, f"SELECT {'(' * PAREN}1{')' * PAREN} AS e{number}")

    def half_open(self):
        held = []
        for _ in range(50):
            held.append(socket.create_connection(("127.0.0.1", self.page)))
            held[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        for _ in range(4):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].connect(self.control)
        yield 0, 0
        self.ends.wait()
        for each in held:
            each.close()
        yield 0, 0


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


class Lab:
    """A server, a daemon that asks it for prices, and two users who work beside whatever floods."""

    def __init__(self, postgres, daemon):
        self.server = postgres("15", settings={"max_connections": "200"})
        self.server.ask("create role flooder login; create role ann login; create role ben login; create role cat login; "
                        "create role pgweir_explain login; "
                        "create table small as select n as id, n % 7 as v from generate_series(1, 1000) n; alter table small add primary key (id);"
                        "grant select on small to public; analyze small")
        with open(ROLE, encoding="utf-8") as file:
            self.server.ask(file.read())
        self.page = free_port()
        self.watcher = daemon(self.server, "--explain", f"host={self.server.folder.path} port={self.server.port} user=pgweir_explain dbname=postgres",
                              "--explain-primary", "--web.listen-address", f"127.0.0.1:{self.page}", "--user-names", "plain")
        self.sent = {"ann": 0, "ben": 0}
        self.clients = {name: Client(self.server, name) for name in self.sent}
        self.flood = None
        self.worst = {"rss": 0, "status": 0.0, "page": 0.0, "metrics": 0.0}

    def begin(self, is_paced=True):
        self.flood = Flood(self.server, self.page, self.watcher.socket, is_paced)

    def end(self):
        """Ends the flood; what it sent, by kind."""
        counts = self.flood.stop()
        assert not self.flood.errors, self.flood.errors
        self.sent["flooder"] = sum(counts.values())
        # New users find room as before.
        self.clients["cat"] = Client(self.server, "cat", source="127.250.1.1")
        self.sent["cat"] = 0
        self.work("cat", "select 1", 20)
        return counts

    def status(self):
        return self.flood.watch(self.watcher.status) if self.flood else self.watcher.status()

    def work(self, name, text, times=1):
        for _ in range(times):
            self.sent[name] += self.clients[name].query(text)

    def priced(self, number):
        """Runs a pattern that is new until it has a price; how long that took."""
        text = f"select count(*) as ann{number} from small"
        start = time.monotonic()

        def known():
            self.work("ann", text, 2)
            time.sleep(0.2)
            cost = price(self.status(), text)
            return cost is not None and cost < 999
        try:
            wait_for(known, seconds=60, what="a new pattern has a price", process=self.watcher.process)
        except TimeoutError as error:
            status = self.watcher.status()
            raise AssertionError(f"{text} has no price: {status['pricing']}, {status['report']['patterns'][:5]}, "
                                 f"{self.watcher.log.since()[-1000:]}") from error
        return time.monotonic() - start

    def look(self):
        """How long each view takes, and how much memory all of it."""
        took, _ = timed(self.status)
        self.worst["status"] = max(self.worst["status"], took)
        for name, path in (("page", "/"), ("metrics", "/metrics")):
            took, answer = timed(lambda path=path: urllib.request.urlopen(f"http://127.0.0.1:{self.page}{path}", timeout=30).status)
            assert answer == 200
            self.worst[name] = max(self.worst[name], took)
        self.worst["rss"] = max(self.worst["rss"], resident(self.watcher.process.pid))


def test_one_tenant_cannot_take_the_tables_of_others(postgres, daemon, long):
    seconds = 600 if long else 20
    lab = Lab(postgres, daemon)
    lab.work("ben", "select v from small where id = 5", 50)
    before = lab.priced(0)
    lab.begin()
    prices = []
    end = time.monotonic() + seconds
    for number in itertools.count(1):
        prices.append(lab.priced(number))
        lab.work("ben", "select v from small where id = 5", 10)
        lab.look()
        if time.monotonic() > end and lab.flood.counts.get("patterns", 0) > 200000:
            break
    counts = lab.end()
    watcher, sent = lab.watcher, lab.sent
    try:
        watcher.wait(lambda status: all(users(status).get(name) == count for name, count in sent.items()), 30,
                     "all statements are counted, with those who sent them")
    except TimeoutError as error:
        raise AssertionError(f"sent {sent}, counted {users(watcher.status())}") from error
    after = lab.priced(1_000_000)
    status = lab.status()
    report = status["report"]
    told = sum(row["calls"] + row["errors"] for row in report["patterns"])
    ben = [row for row in report["patterns"] if row["text"] == "select v from small where id = ?"]
    took, code = timed(watcher.stop)
    print(f"{seconds} s: {counts}; worst {lab.worst}; stop {took:.1f} s")
    print(f"a price took {before:.1f} s before, {sorted(prices)[len(prices) // 2]:.1f} s ({max(prices):.1f} s at most) meanwhile, {after:.1f} s after")
    print({name: status["pricing"].get(name) for name in ("waiting", "known", "asked", "priced", "failed", "overflow")})
    assert code == 0 and took < 15
    assert ben and ben[0]["calls"] == sent["ben"]
    # All that ran is told, pattern by pattern or as other patterns.
    assert told == sum(row["completed"] + row["errors"] for row in report["users"]), (told, sent)
    assert lab.worst["rss"] < MOST_MEBIBYTES, lab.worst
    assert lab.worst["status"] < 3 and lab.worst["page"] < 3 and lab.worst["metrics"] < 3, lab.worst


def test_what_a_flood_hides_is_told(postgres, daemon, long):
    """As fast as it can: the tap may lose packets on a machine that is too small for it, and then says so."""
    lab = Lab(postgres, daemon)
    lab.begin(is_paced=False)
    end = time.monotonic() + (60 if long else 10)
    while time.monotonic() < end:
        lab.work("ann", "select count(*) from small", 10)
        lab.work("ben", "select v from small where id = 5", 10)
        lab.look()
    lab.end()
    seen = {}

    def settled():
        nonlocal seen
        last, seen = seen, users(lab.watcher.status())
        return last == seen
    wait_for(settled, seconds=60, what="counts stay as they are", process=lab.watcher.process)
    status = lab.watcher.status()
    lost = {name: count - seen.get(name, 0) for name, count in lab.sent.items() if count != seen.get(name, 0)}
    capture = status["report"]["capture"]
    print(f"sent {lab.sent}; not counted {lost}; told {({key: capture[key] for key in ('kernel_dropped', 'gaps', 'gap_bytes', 'shed_segments')})}; worst {lab.worst}")
    # Nothing is counted twice, and nothing is lost in silence.
    assert all(missing > 0 for missing in lost.values()), lost
    assert not lost or capture["kernel_dropped"] or capture["shed_segments"], (lost, capture)
    lab.flood = None
    lab.priced(2_000_000)
    assert lab.watcher.stop() == 0
