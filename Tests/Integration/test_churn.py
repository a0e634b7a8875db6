# SPDX-License-Identifier: Apache-2.0
"""Connections that come and go by the thousand, floods and scans: the daemon lives and meters everybody exactly."""
import json
import os
import random
import re
import socket
import threading
import time

import churn
import pytest
import servers
from churn import CountingServer, Injector, PacketSession, frame, short_session
from servers import process, wait_for
from servers.process import Folder, Log

USERS = ("ann", "ben", "cat", "dan")
STATISTICS = ("select coalesce(json_object_agg(rolname, calls), '{}') from (select rolname, sum(calls) as calls "
              "from pg_stat_statements s join pg_roles r on r.oid = s.userid where rolname <> 'admin' group by 1) t")


class Relay:
    def __init__(self, program, upstream):
        self.program, self.folder, self.port = program, Folder("relay"), servers.free_port()
        self.control, self.log = self.folder / "relay.sock", Log(self.folder / "log")
        with open(self.log.path, "ab") as log:
            self.process = process.start([program, "--listen", f"127.0.0.1:{self.port}", "--upstream", f"127.0.0.1:{upstream}",
                                          "--control", self.control, "--workers", "1"], stdin=-3, stdout=log, stderr=log)
        wait_for(lambda: "relaying" in self.log.since(), what="the relay listens", process=self.process)

    def status(self):
        return json.loads(process.run([self.program, "--status", "--control", self.control]).stdout)

    def stop(self):
        process.stop(self.process)
        self.folder.remove()


@pytest.fixture
def relay(pgweir):
    started = []

    def make(upstream):
        started.append(Relay(os.path.join(os.path.dirname(pgweir), "pgweir-relay"), upstream))
        return started[-1]
    yield make
    for one in started:
        one.stop()


@pytest.fixture
def proxy(relay, daemon):
    """A relay before a server, and a daemon that meters what passes it."""
    def make(upstream):
        front = relay(upstream)
        return front, daemon(None, "--mode", "proxy", "--relay", front.control, "--no-quotas", "--allow-second")
    return make


def counted(status):
    """Statements by user."""
    counts = {}
    for entry in status["report"]["users"]:
        if entry["user"] and entry["statements"]:
            counts[entry["user"]] = counts.get(entry["user"], 0) + entry["statements"]
    return counts


def expect(daemon, truth, seconds=60):
    """Waits until the daemon has counted what the server has, and sees that it lost nothing, then or later."""
    try:
        daemon.wait(lambda status: counted(status) == truth, seconds)
    except TimeoutError:
        pass
    status = daemon.status()
    assert counted(status) == truth
    capture = status["report"]["capture"]
    assert capture["gaps"] == 0 and capture["kernel_dropped"] == 0, capture
    assert not status["report"]["sessions"].get("midstream"), status["report"]["sessions"]
    return status


def statistics(server):
    return json.loads(server.ask(STATISTICS))


def statistics_server(postgres, **more):
    """A PostgreSQL that counts statements by user."""
    server = postgres(settings={"shared_preload_libraries": "pg_stat_statements", "max_connections": "200"}, **more)
    server.ask("create extension pg_stat_statements")
    for user in (*USERS, "visitor"):
        server.ask(f"create role {user} login")
    server.ask("select pg_stat_statements_reset()")
    return server


def take_turns(sessions, count, send):
    for number in range(count):
        for session in sessions:
            send(session, f"select {number}")


# Proxy mode


def test_proxy_meters_exactly_beside_connections_that_close_one_after_the_other(proxy, long):
    """More end than are remembered: first with no other open, then beside sessions that stay open."""
    count = 1_000_000 if long else 10_000
    server = CountingServer()
    front, daemon = proxy(server.port)
    for _ in range(4200):
        short_session(front.port)
    daemon.assert_alive()
    open_ones = [servers.Connection("127.0.0.1", front.port, user) for user in USERS]
    for number in range(count - 4200):
        short_session(front.port)
        if number % 500 == 0:
            open_ones[number // 500 % len(open_ones)].ask("select 1")
    later = [servers.Connection("127.0.0.1", front.port, user) for user in USERS]
    take_turns([*open_ones, *later], 100, servers.Connection.ask)
    status = expect(daemon, server.statements)
    assert server.statements["visitor"] == count
    assert status["report"]["sessions"]["total"] == server.sessions == count + 8
    for session in [*open_ones, *later]:
        session.close()
    server.stop()


@pytest.mark.parametrize("kind", ["scripted", "PostgreSQL"])
def test_proxy_meters_churn_as_the_server_does(kind, postgres, proxy, long):
    """Several clients come and go at once beside sessions that stay."""
    server = statistics_server(postgres) if kind == "PostgreSQL" else CountingServer()
    front, daemon = proxy(server.port)
    open_ones = [servers.Connection("127.0.0.1", front.port, user) for user in USERS]
    end = time.monotonic() + (600 if long else 3)
    fewest = 8500 if kind == "scripted" else 0
    done, errors = [], []

    def is_over():
        # Fewer than are remembered would prove little.
        return errors or time.monotonic() > end and len(done) > fewest

    def visit(seed):
        choose = random.Random(seed)
        try:
            while not is_over():
                choice = choose.randrange(5)
                if choice == 0:
                    # Gone before a login.
                    socket.create_connection(("127.0.0.1", front.port), 20).close()
                elif choice == 1:
                    with socket.create_connection(("127.0.0.1", front.port), 20) as visitor:
                        visitor.sendall(churn.SSL_REQUEST)
                        assert visitor.recv(1) == b"N"
                else:
                    short_session(front.port, statements=choose.randrange(4))
                if choice:
                    done.append(choice)
        except (OSError, AssertionError) as error:
            errors.append(error)
    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while not is_over():
        take_turns(open_ones, 1, servers.Connection.ask)
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert not errors
    later = [servers.Connection("127.0.0.1", front.port, user) for user in USERS]
    take_turns(later, 100, servers.Connection.ask)
    expect(daemon, statistics(server) if kind == "PostgreSQL" else server.statements)
    accepted = front.status()["connections"]["accepted"]
    print(f"{accepted} connections, of which {len(done)} said something")
    for session in [*open_ones, *later]:
        session.close()
    server.stop()


# Mirror mode


class Wire:
    """Two namespaces and a cable; at one end a server and a tap, at the other whoever comes."""

    def __init__(self, namespace):
        self.here, self.there = namespace(), namespace()
        self.here.join(self.there, "10.99.1.1/24", "10.99.1.2/24")
        self.injector = Injector(self.here.holder.pid, "cable")
        link = self.there.run("ip", "-o", "link", "show", "cable").stdout
        self.hardware = bytes.fromhex(re.search(r"link/ether (\S+)", link).group(1).replace(":", ""))

    def tap(self, daemon, port, *options):
        """A tap at the far end, which forgets empty connections soon."""
        self.port = port
        return daemon(port, "-p", str(servers.free_port()), "--empty-timeout", "2", "--no-quotas", "--allow-second", "--buffer", "512",
                      *options, interface="cable", wrap=self.there.wrap)

    def connect(self, user):
        """A session that comes over the cable."""
        return self.injector.run(lambda _: servers.Connection("10.99.1.2", self.port, user))

    def flood(self, count, address="10.99.1.77", hardware=b"\xff" * 6, start=0):
        """SYNs from addresses that nobody has."""
        def body(send):
            for number in range(start, start + count):
                source = (f"10.{100 + number // 62500}.{number // 250 % 250}.{1 + number % 250}", 40000)
                send(frame(source, (address, self.port), 1, 0, churn.SYN, hardware=hardware))
        self.injector.run(body)

    def scan(self, count, port):
        """SYNs from ports of an address that answers each SYN-ACK by a reset, as `nmap -sS` does."""
        def body(send):
            for number in range(count):
                send(frame(("10.99.1.1", 20000 + number), ("10.99.1.2", port), 1, 0, churn.SYN, hardware=self.hardware))
        self.injector.run(body)


    def sessions(self, count):
        """So many sessions open at once, each in a place of its own in every table; gives their statements by user."""
        truth = {}

        def body(send):
            made = []
            for number in range(count):
                client = (f"10.{60 + number // 62500}.{number // 250 % 250}.{1 + number % 250}", 40000)
                made.append(PacketSession(send, client, ("10.99.1.77", self.port), f"made{number % 7}"))
                pace(number)
            for turn in range(2):
                for number, session in enumerate(made):
                    session.query(f"select {turn}")
                    pace(number)
            for number in range(count):
                truth[f"made{number % 7}"] = truth.get(f"made{number % 7}", 0) + 2
        self.injector.run(body)
        return truth


def pace(number):
    """Lets a tap of a debug build follow."""
    if number % 100 == 99:
        time.sleep(0.01)


def test_tap_outlives_a_flood_and_a_scan_and_meters_exactly(postgres, namespace, daemon, long):
    """Unanswered SYNs, half-open connections and a scan expire beside sessions that stay; then others come."""
    wire = Wire(namespace)
    server = statistics_server(postgres, wrap=wire.there.wrap, address="10.99.1.2")
    tap = wire.tap(daemon, server.port)
    open_ones = [wire.connect(user) for user in USERS]
    rounds = 20 if long else 1
    for number in range(rounds):
        wire.flood(9500, start=9500 * number)
        wire.flood(400, "10.99.1.2", wire.hardware, start=300_000)
        wire.scan(500, server.port)
        wire.scan(500, int(tap.command[tap.command.index("-p") + 1]))
        for user in ("visitor",) * 50:
            wire.connect(user).close()
        expired = 9000 * (number + 1)
        while tap.status()["report"]["capture"]["expired_flows"] < expired:
            take_turns(open_ones, 5, servers.Connection.ask)
            time.sleep(0.02)
    later = [wire.connect(user) for user in USERS]
    take_turns([*open_ones, *later], 100, servers.Connection.ask)
    made = wire.sessions(6000)
    status = expect(tap, {**statistics(server), **made})
    assert status["report"]["capture"]["evicted_flows"] == 0
    for session in [*open_ones, *later]:
        session.close()


def test_tap_meters_exactly_beside_connections_that_come_and_go(namespace, daemon, seed, long):
    """Sessions made packet by packet: some close, some are reset, some are never heard of again; ports are used again."""
    wire = Wire(namespace)
    tap = wire.tap(daemon, 5432, "--idle-timeout", "60")
    count = 1_000_000 if long else 8000
    choose = random.Random(seed)
    truth = dict.fromkeys((*USERS, "visitor"), 0)

    def body(send):
        server = ("10.99.1.77", 5432)
        open_ones = [PacketSession(send, ("10.99.1.200", 50000 + place), server, user) for place, user in enumerate(USERS)]
        # One port pair again and again, whose connections nobody ends: the server's answer to the next tells.
        for number in range(4200):
            visit = PacketSession(send, ("10.99.1.202", 50000), server, "visitor", 1000 + number * 30_000_017)
            visit.query()
            truth["visitor"] += 1
            pace(number)
        for number in range(count):
            # A few ports are used over and over again, many others once.
            place = choose.randrange(20) if number % 2 else number % 20_000
            # Others come by other ports: users are told apart by address, which is none of this test's concern.
            client = (f"10.100.{place // 250}.{1 + place % 250}", 40000 if number % 2 else 40001 + number // 20_000)
            visit = PacketSession(send, client, server, "visitor", 1000 + number * 100_003)
            visit.query()
            truth["visitor"] += 1
            choose.choice((visit.close, visit.close, visit.reset, visit.leave))()
            if number % 100 == 0:
                user = number // 100 % len(USERS)
                open_ones[user].query()
                truth[USERS[user]] += 1
            pace(number)
        for place, session in enumerate(open_ones):
            for _ in range(100):
                session.query()
            truth[USERS[place]] += 100
    wire.injector.run(body)
    made = wire.sessions(6000)
    status = expect(tap, {**truth, **made})
    assert status["report"]["sessions"]["total"] == 4 + 4200 + count + 6000
