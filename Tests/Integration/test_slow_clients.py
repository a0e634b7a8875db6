# SPDX-License-Identifier: Apache-2.0
"""Clients that say nothing, say it slowly or do not read hold up only themselves: page, status, relay's cancels and probes."""
import contextlib
import os
import resource
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from servers import Connection, free_port, process, wait_for

# An answer takes far less; behind a queue of silent clients it takes ten seconds and more.
BOUND = 8


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections that are kept open, and fed by a thread if they are to drip."""

    def __init__(self):
        self.sockets, self.over = [], threading.Event()
        self.thread = None

    def connect(self, count, address, first=b"", family=socket.AF_INET):
        for _ in range(count):
            one = socket.socket(family)
            one.settimeout(10)
            self.sockets.append(one)
            with contextlib.suppress(OSError):
                one.connect(address)
                one.sendall(first)
        return self

    def drip(self, byte=b"b"):
        def run():
            while not self.over.wait(1):
                for one in self.sockets:
                    with contextlib.suppress(OSError):
                        one.send(byte)
        self.thread = threading.Thread(target=run)
        self.thread.start()
        return self

    def close(self):
        self.over.set()
        if self.thread:
            self.thread.join()
        for one in self.sockets:
            one.close()


def get(port, path, timeout=30):
    begun = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
                answer.read()
                return answer.status, time.monotonic() - begun
        except urllib.error.HTTPError as error:
            # A page may be refused while very many are asked for; a probe may not.
            if error.code != 503 or path.startswith("/-/") or time.monotonic() - begun > timeout:
                raise
            time.sleep(0.1)


HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-a: "
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
CROWDS = {
    "silent": lambda at: Crowd().connect(700, at),
    "half-open": lambda at: Crowd().connect(700, at, HALF),
    "dripping": lambda at: Crowd().connect(700, at, HALF).drip(),
    "half a line": lambda at: Crowd().connect(700, at, b"GE").drip(b"T"),
    "not reading": lambda at: Crowd().connect(600, at, WHOLE * 3),
    "idle after an answer": lambda at: Crowd().connect(700, at, WHOLE),
}


@pytest.fixture
def watched(daemon, postgres):
    server = postgres("15")
    server.ask("create role ann login")
    port = free_port()
    watcher = daemon(server, "--web.listen-address", f"127.0.0.1:{port}")
    return server, watcher, port


def asked(watcher, port):
    """How long health, a page, metrics and status take."""
    times = {}
    for path in ("/-/healthy", "/-/ready", "/", "/metrics"):
        status, times[path] = get(port, path)
        assert status == 200
    begun = time.monotonic()
    watcher.status()
    times["status"] = time.monotonic() - begun
    return times


@pytest.mark.parametrize("kind", CROWDS)
def test_a_crowd_at_the_page(kind, watched):
    _, watcher, port = watched
    with contextlib.closing(CROWDS[kind](("127.0.0.1", port))):
        for _ in range(3):
            times = asked(watcher, port)
            slow = {what: took for what, took in times.items() if took > BOUND}
            assert not slow, times
        # Descriptors are bounded: the rest of the daemon needs some.
        assert len(os.listdir(f"/proc/{watcher.process.pid}/fd")) < 900
    assert asked(watcher, port)


def test_a_client_that_drips_a_header_is_given_up(watched):
    _, _, port = watched
    with contextlib.closing(Crowd().connect(20, ("127.0.0.1", port), HALF).drip()) as crowd:
        def closed():
            for one in crowd.sockets:
                one.settimeout(0.01)
                try:
                    if one.recv(100) != b"":
                        return False
                except TimeoutError:
                    return False
                except OSError:
                    pass
            return True
        wait_for(closed, 60, what="slow headers end")


@pytest.mark.parametrize("first", [b"", b"sta", b"status format=json\n"], ids=["silent", "half a line", "not reading"])
@pytest.mark.parametrize("count", [12, 300])
def test_a_crowd_at_the_control_socket(first, count, watched):
    server, watcher, port = watched
    stop = threading.Event()

    def coming():
        while not stop.is_set():
            with contextlib.closing(Crowd().connect(count, watcher.socket, first, socket.AF_UNIX)) as crowd:
                stop.wait(30)
                assert crowd.sockets
    thread = threading.Thread(target=coming)
    thread.start()
    try:
        for _ in range(5):
            begun = time.monotonic()
            watcher.status()
            watcher.ask("quota", "list")
            assert time.monotonic() - begun < BOUND
        assert get(port, "/-/healthy")[1] < BOUND
    finally:
        stop.set()
        thread.join()


class Session(Connection):
    """A session that knows what its cancel requests need."""
    key = None

    def read(self):
        kind, body = super().read()
        if kind == b"K":
            self.key = struct.unpack("!II", body)
        return kind, body


class Relay:
    def __init__(self, program, upstream, folder, *options):
        self.port, self.health, self.control = free_port(), free_port(), os.path.join(folder, "relay.sock")
        self.process = process.start([program, "--listen", f"127.0.0.1:{self.port}", "--upstream", f"127.0.0.1:{upstream}",
                                      "--control", self.control, "--health", f"127.0.0.1:{self.health}", *options],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=open(os.path.join(folder, "relay.log"), "wb"))  # noqa: SIM115

        def ready():
            with contextlib.suppress(OSError):
                return get(self.health, "/-/healthy")[0] == 200
            return False
        wait_for(ready, what="the relay answers", process=self.process)

    def stop(self):
        process.stop(self.process)


def cancel(port, key=(1, 1)):
    """A CancelRequest; the server closes without a word when it has taken it."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as one:
        one.sendall(struct.pack("!IIII", 16, 80877102, *key))
        return one.recv(100)


@pytest.mark.parametrize("first", [b"", b"\0\0\0", struct.pack("!II", 8, 80877103)], ids=["silent", "part", "asking for TLS"])
def test_cancels_and_probes_pass_a_crowd_at_the_relay(first, postgres, pgweir, tmp_path):
    program = os.path.join(os.path.dirname(pgweir), "pgweir-relay")
    if not os.path.exists(program):
        pytest.skip("pgweir-relay is not built")
    server = postgres("15")
    relay = Relay(program, server.port, str(tmp_path), "--max-connections", "20")
    try:
        with contextlib.closing(Session("127.0.0.1", relay.port, "admin")) as session:
            session.query("select 1")
            pid, secret = session.key
            done = []

            def sleep():
                done.append(str(session.query("select pg_sleep(300)")[1]))
            thread = threading.Thread(target=sleep)
            thread.start()
            running = f"select count(*) from pg_stat_activity where query = 'select pg_sleep(300)' and state = 'active' and pid = {pid}"
            wait_for(lambda: server.ask(running) == "1", what="the query runs")
            with contextlib.closing(Crowd().connect(1500, ("127.0.0.1", relay.port), first)):
                for _ in range(20):
                    assert cancel(relay.port) == b""
                    assert get(relay.health, "/-/healthy")[1] < BOUND
                with contextlib.closing(Crowd().connect(300, ("127.0.0.1", relay.health), HALF)):
                    for _ in range(5):
                        assert get(relay.health, "/-/healthy")[1] < BOUND
                assert cancel(relay.port, (pid, secret)) == b""
                thread.join(30)
            assert done and "cancel" in done[0], done
    finally:
        relay.stop()
