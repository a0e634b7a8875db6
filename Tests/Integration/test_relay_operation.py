# SPDX-License-Identifier: Apache-2.0
"""How a relay starts, ends and is replaced; relays that would connect to themselves."""
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import threading

import pytest
import servers
from servers import process, wait_for
from servers.process import Folder
from servers.relay import program


def refused(*options, wrap=()):
    """A relay that does not start."""
    folder = Folder("relay")
    try:
        return process.run([*wrap, program(), "--control", folder / "relay.sock", *options], check=False, timeout=60)
    finally:
        folder.remove()


# Draining


def test_a_signal_after_a_takeover_lets_sessions_end(postgres, relay):
    """As `systemctl stop` does it: SIGTERM to both."""
    server = postgres()
    old = relay(server.port, "--drain-timeout", "60")
    session = servers.Connection("127.0.0.1", old.port, "admin")
    new = relay(server.port, "--drain-timeout", "60", successor_of=old)
    later = servers.Connection("127.0.0.1", new.port, "admin")
    wait_for(lambda: "took over" in old.log.since(), what="the old relay has heard of it")
    for one in (old, new):
        one.process.send_signal(signal.SIGTERM)
        wait_for(lambda one=one: "draining" in one.log.since(), what="the signal is taken")
    for one in (session, later):
        assert one.ask("select pg_sleep(0.5), 42")[0][1] == "42"
        one.close()
    assert old.process.wait(20) == 0 and new.process.wait(20) == 0
    assert "cut" not in old.log.since() + new.log.since()


def test_a_second_signal_after_a_takeover_cuts(postgres, relay):
    server = postgres()
    old = relay(server.port, "--drain-timeout", "60")
    session = servers.Connection("127.0.0.1", old.port, "admin")
    relay(server.port, successor_of=old)
    wait_for(lambda: "took over" in old.log.since(), what="the old relay has heard of it")
    old.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in old.log.since(), what="the signal is taken")
    assert session.ask("select 42") == [["42"]]
    old.process.send_signal(signal.SIGTERM)
    assert session.socket.recv(1) == b"" and old.process.wait(20) == 0


def test_the_time_to_drain_holds_after_a_takeover(postgres, relay):
    server = postgres()
    old = relay(server.port, "--drain-timeout", "1")
    session = servers.Connection("127.0.0.1", old.port, "admin")
    relay(server.port, successor_of=old)
    wait_for(lambda: "took over" in old.log.since(), what="the old relay has heard of it")
    old.process.send_signal(signal.SIGTERM)
    assert session.socket.recv(1) == b"" and old.process.wait(20) == 0
    assert "the time to drain is over" in old.log.since()


# Relays that are their own server


@pytest.mark.parametrize("listen, upstream", [
    ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.9"),
    ("", "localhost"), ("[::1]", "[::1]"), ("[::]", "[::1]"), ("0.0.0.0", "0.0.0.0"),
])
def test_a_relay_that_is_its_own_server_does_not_start(listen, upstream):
    port = servers.free_port()
    done = refused("--listen", f"{listen}:{port}", "--upstream", "127.0.0.1:1", "--upstream", f"{upstream}:{port}")
    if "Address family not supported" in done.stderr or "Cannot assign" in done.stderr:
        pytest.skip("no IPv6 here")
    assert done.returncode == 78 and f"--upstream {upstream}:{port} is " in done.stderr and "the relay itself" in done.stderr, done
    done = refused("--listen", f"{listen}:{port}", "--upstream", f"{upstream}:{port}", "--original-destination")
    assert done.returncode == 78, done


def test_an_address_of_the_host_is_the_relay_where_it_listens_at_all():
    own = "127.0.0.2"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # A machine without a network has loopback addresses only.
        probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]
    port = servers.free_port()
    done = refused("--listen", f"0.0.0.0:{port}", "--upstream", f"{own}:{port}")
    assert done.returncode == 78 and "the relay itself" in done.stderr, done


def test_a_relay_that_takes_over_is_not_its_own_server(postgres, relay):
    old = relay(postgres().port)
    done = process.run([program(), "--control", old.control, "--takeover", "--upstream", f"127.0.0.1:{old.port}"], check=False, timeout=60)
    assert done.returncode == 78 and "the relay itself" in done.stderr, done
    assert servers.Connection("127.0.0.1", old.port, "admin").ask("select 42") == [["42"]]


def login(port):
    """The error that a login ends with, as soon as its socket is closed, which the error holds."""
    try:
        servers.Connection("127.0.0.1", port, "admin").close()
    except (servers.ServerError, OSError) as error:
        said = str(error)
    else:
        said = "logged in"
    gc.collect()
    return said


def test_a_name_that_comes_to_mean_the_relay_itself(postgres):
    """Without the check, the first connection would take all places within a moment."""
    if os.getuid() != 0:
        pytest.skip("needs root: /etc/hosts is replaced for the relay")
    server = postgres(address="127.0.0.9")
    port, folder = server.port, Folder("relay")
    hosts = folder / "hosts"
    with open(hosts, "w", encoding="utf-8") as file:
        file.write("127.0.0.9 moving\n")
    words = ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$0" "$@"', program(), "--listen", f"127.0.0.1:{port}",
             "--upstream", f"moving:{port}", "--control", folder / "relay.sock", "--workers", "1"]
    with open(folder / "log", "wb") as log:
        running = process.start(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        ask = lambda: process.run([program(), "--status", "--control", folder / "relay.sock"], check=False).stdout
        wait_for(lambda: "serving" in ask(), what="the relay answers", process=running)
        assert servers.Connection("127.0.0.1", port, "admin").ask("select 42") == [["42"]]
        with open(hosts, "w", encoding="utf-8") as file:
            file.write("127.0.0.1 moving\n")
        server.halt()
        # Names of servers that fail are looked up each second.
        wait_for(lambda: "57P03" in login(port) and '"addresses":[]' in ask(), what="the name is looked up")
        before = json.loads(ask())["connections"]["accepted"]
        login(port)
        after = json.loads(ask())["connections"]
        # None of its own came back to it.
        assert after["accepted"] == before + 1, after
    finally:
        process.stop(running)
        folder.remove()


def test_connections_that_a_rule_brings_back_to_the_relay(namespace):
    """REDIRECT without an exemption for the relay's own connections: each client costs two places, and is told."""
    space = namespace()
    port, control = servers.free_port(), Folder("relay")
    rules = "iptables-legacy" if space.run("which", "iptables-legacy", check=False).returncode == 0 else "iptables"
    if space.run(rules, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "5432", "-j", "REDIRECT", "--to-ports", str(port),
                 check=False).returncode != 0:
        pytest.skip("no REDIRECT here")
    for options in (["--original-destination"], ["--upstream", "127.0.0.5:5432"]):
        words = [*space.wrap, program(), "--listen", f"127.0.0.1:{port}", "--control", control / "relay.sock", "--workers", "2", *options]
        with open(control / "log", "wb") as log:
            running = process.start(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            ask = lambda: space.run(program(), "--status", "--control", control / "relay.sock", check=False).stdout
            wait_for(lambda: "serving" in ask(), what="the relay answers", process=running)
            target = 5432 if options[0] == "--original-destination" else port
            done = space.run("psql", "-X", f"host=127.0.0.1 port={target} user=x dbname=x sslmode=prefer connect_timeout=20", "-c", "select 1",
                             check=False)
            assert "the pgweir relay's server is the relay itself" in done.stderr, done
            wait_for(lambda: '"open":0' in ask(), what="its places are free again")
            accepted = int(ask().split('"accepted":')[1].split(",")[0])
            # The client, and its one turn; libpq tries once more without encryption.
            assert accepted <= 6, accepted
        finally:
            process.stop(running)
    control.remove()


def test_a_loop_through_another_relay_ends(relay):
    """Each is the other's server. The first login goes round until many of its turns are unanswered, and all of them end with it."""
    port = servers.free_port()
    other = relay(port, "--connect-timeout", "1")
    front = relay(other.port, "--connect-timeout", "1", listen=f"127.0.0.1:{port}")
    for _ in range(3):
        assert "the pgweir relay's server is the relay itself" in login(port)
    for one in (front, other):
        wait_for(lambda one=one: one.connections()["open"] == 0, what="its places are free again")
        assert one.connections()["accepted"] < 3 * 1000, one.connections()
    assert "come back to the relay" in front.log.since() + other.log.since()


def test_clients_beside_the_server_are_no_loop(postgres, relay):
    """They have its address. More at once than may be unanswered in a loop: some wait, and all are served."""
    server = postgres(settings={"max_connections": "400", "pre_auth_delay": "2"})
    front = relay(server.port, "--connect-timeout", "5")
    found = []
    threads = [threading.Thread(target=lambda: found.append(servers.Connection("127.0.0.1", front.port, "admin").ask("select 1")))
               for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[["1"]]] * 300


# Options


@pytest.mark.parametrize("option", ["--accept-rate", "--connect-timeout", "--drain-delay", "--drain-timeout"])
@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "1e300"])
def test_a_number_out_of_range_names_its_option(option, value):
    done = refused("--listen", "127.0.0.1:1", "--upstream", "127.0.0.1:2", f"{option}={value}")
    assert done.returncode == 64 and f"{option} must be from" in done.stderr, done
    assert sum(other in done.stderr.split("Usage")[0] for other in ("--accept-rate", "--connect-timeout", "--drain-")) == 1, done.stderr
