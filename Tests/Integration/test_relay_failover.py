# SPDX-License-Identifier: Apache-2.0
"""Servers that do not answer, one way or another: the relay finds the one that does, for every client."""
import socket
import ssl
import threading
import time

import pytest
import servers
from servers import wait_for


class Scripted:
    """A server that does one thing with each connection; `accepted` counts them."""

    def __init__(self, behaviour):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.accepted, self.kept = 0, []
        self.behaviour = behaviour
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.kept.append(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            self.behaviour(client)
        except OSError:
            pass

    def stop(self):
        self.listener.close()
        for client in self.kept:
            client.close()


def silent(client):
    client.recv(8)


def stalls(client):
    client.recv(8)
    client.sendall(b"S")


def has_no_tls(client):
    client.recv(8)
    client.sendall(b"N")


def closes(client):
    client.recv(8)
    client.close()


def untrusted(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)

    def serve(client):
        client.recv(8)
        client.sendall(b"S")
        context.wrap_socket(client, server_side=True).recv(1)
    return serve


@pytest.fixture
def scripted():
    started = []

    def make(behaviour):
        started.append(Scripted(behaviour))
        return started[-1]
    yield make
    for one in started:
        one.stop()


class BlackHole:
    """A port whose SYNs are dropped: its backlog is full."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self.listener.getsockname()[1]
        self.filling = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self.filling.append(one)

    def stop(self):
        for one in [*self.filling, self.listener]:
            one.close()


@pytest.fixture
def black_hole():
    one = BlackHole()
    yield one
    one.stop()


def login(port, results, number):
    began = time.monotonic()
    try:
        session = servers.Connection("127.0.0.1", port, "admin")
        rows, _ = session.query("select 1")
        results[number] = (rows, time.monotonic() - began)
        session.close()
    except (OSError, servers.ServerError) as error:
        results[number] = (str(error), time.monotonic() - began)


def test_every_client_that_waits_for_a_black_hole_gets_the_next_server(postgres, relay, black_hole):
    """They come while others' attempts fail, so that the order changes while they wait."""
    server = postgres()
    front = relay([black_hole.port, server.port], "--connect-timeout", "2")
    results, threads = {}, []
    for number in range(20):
        threads.append(threading.Thread(target=login, args=(front.port, results, number)))
        threads[-1].start()
        time.sleep(0.2)  # the spacing is the case: arrivals before, at and after the first failure
    for thread in threads:
        thread.join()
    assert all(rows == [["1"]] for rows, _ in results.values()), results
    assert front.healthy() == [False, True]


def test_all_servers_are_tried_before_a_client_is_sent_away(postgres, relay):
    """More of them than a small list would hold."""
    server = postgres()
    closed = [socket.create_server(("127.0.0.1", 0)) for _ in range(150)]
    ports = [one.getsockname()[1] for one in closed]
    for one in closed:
        one.close()
    results = {}
    login(relay([*ports, server.port]).port, results, 0)
    assert results[0][0] == [["1"]], results
    login(relay(ports).port, results, 1)
    assert "57P03" in results[1][0], results


@pytest.mark.parametrize("behaviour", ["silent", "stalls", "has_no_tls", "closes", "untrusted"])
def test_a_server_whose_tls_fails_is_passed_over(postgres, relay, certificate, scripted, behaviour):
    own, other = certificate(), certificate()
    bad = scripted({"silent": silent, "stalls": stalls, "has_no_tls": has_no_tls, "closes": closes,
                    "untrusted": untrusted(other)}[behaviour])
    server = postgres(settings=own.settings)
    front = relay([bad.port, server.port], "--upstream-tls", "--upstream-ca", own.file, "--connect-timeout", "2")
    results = {}
    login(front.port, results, 0)
    assert results[0][0] == [["1"]], results
    # One attempt, whatever the server did in it, and no more than that.
    assert results[0][1] < 3.8, results
    assert front.healthy() == [False, True]
    # Probes ask for TLS, too: that it accepts a connection does not make it healthy.
    asked = bad.accepted
    wait_for(lambda: bad.accepted >= asked + 2, what="the server is asked again")
    assert front.healthy() == [False, True]
    login(front.port, results, 1)
    assert results[1][0] == [["1"]] and results[1][1] < 1.8, results


def test_a_server_whose_tls_works_again_is_healthy_again(postgres, relay, certificate):
    own = certificate()
    first, second = postgres(settings=own.settings), postgres(settings=own.settings)
    front = relay([first.port, second.port], "--upstream-tls", "--upstream-ca", own.file)
    ask = lambda: servers.Connection("127.0.0.1", front.port, "admin").query("show port")[0]
    assert ask() == [[str(first.port)]]
    first.ask("alter system set ssl = off")
    first.ask("select pg_reload_conf()")
    wait_for(lambda: ask() == [[str(second.port)]], what="the second server stands in")
    assert front.healthy() == [False, True]
    first.ask("alter system set ssl = on")
    first.ask("select pg_reload_conf()")
    wait_for(lambda: ask() == [[str(first.port)]], what="the first server is back")
    log = first.log.since()
    assert "incomplete startup packet" not in log and "could not accept SSL" not in log, log


def test_a_client_is_told_that_no_server_agrees_on_tls(relay, scripted):
    bad = scripted(has_no_tls)
    results = {}
    login(relay([bad.port], "--upstream-tls").port, results, 0)
    assert "57P03" in results[0][0] and "cannot agree on TLS" in results[0][0], results
