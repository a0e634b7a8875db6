# SPDX-License-Identifier: Apache-2.0
"""At --max-connections: who wants to cancel is served, however it is encrypted; others are told why they are not."""
import json
import socket
import ssl
import struct
import threading

import pytest
import servers
from servers import cache, process, wait_for

# Two sessions of psycopg fill the relay; a third is refused; then each way to cancel ends a query of the first.
DRIVER = """
import json, sys, threading, time
import psycopg
conninfo, observer = sys.argv[1:]
watch = psycopg.connect(observer, autocommit=True)
sessions = [psycopg.connect(conninfo, autocommit=True) for _ in range(2)]
result = {}
try:
    psycopg.connect(conninfo).close()
    result["third"] = "connected"
except psycopg.Error as error:
    result["third"] = str(error)
for name in ("cancel", "cancel_safe"):
    outcome = []
    def query():
        try:
            sessions[0].execute("select pg_sleep(60)")
            outcome.append("finished")
        except psycopg.Error as error:
            outcome.append(error.sqlstate)
    thread = threading.Thread(target=query)
    thread.start()
    running = "select count(*) from pg_stat_activity where pid = %s and state = 'active' and wait_event = 'PgSleep'"
    while watch.execute(running, [sessions[0].info.backend_pid]).fetchone()[0] == 0:
        time.sleep(0.01)
    began = time.monotonic()
    try:
        sessions[0].cancel() if name == "cancel" else sessions[0].cancel_safe(timeout=20)
    except Exception as error:
        outcome.append(str(error))
        watch.execute("select pg_cancel_backend(%s)", [sessions[0].info.backend_pid])
    thread.join()
    result[name] = outcome
print(json.dumps(result))
"""


def python():
    """A Python with psycopg, whose libpq cancels in TLS."""
    try:
        return cache.python_packages("psycopg-3.3", "psycopg[binary]==3.3.*")
    except servers.Missing as missing:
        pytest.skip(str(missing))


def drive(server, front, mode, **more):
    common = "host=127.0.0.1 user=admin dbname=postgres gssencmode=disable connect_timeout=20 "
    words = " ".join(f"{name}={value}" for name, value in {"port": front.port, "sslmode": mode, **more}.items())
    done = process.run([python(), "-c", DRIVER, common + words, common + f"port={server.port}"])
    return json.loads(done.stdout)


ENDED = lambda said: "closed the connection" in said or "unexpected eof" in said
CANCELLED = {"cancel": ["57014"], "cancel_safe": ["57014"]}


@pytest.mark.parametrize("mode", ["disable", "prefer"])
def test_plain_clients_cancel_and_are_told(postgres, relay, mode):
    server = postgres()
    got = drive(server, relay(server.port, "--max-connections", "2"), mode)
    assert "too many connections already" in got.pop("third") and got == CANCELLED, got


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_clients_cancel_in_tls_that_passes(postgres, relay, certificate, mode):
    """What they log in for cannot be told in the server's TLS; they wait for room, and in vain here."""
    server = postgres(settings=certificate().settings)
    got = drive(server, relay(server.port, "--max-connections", "2", "--connect-timeout", "1"), mode)
    assert ENDED(got.pop("third")) and got == CANCELLED, got


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_clients_cancel_in_tls_of_either_version(postgres, relay, certificate, version):
    server = postgres(settings={**certificate().settings, "ssl_min_protocol_version": version, "ssl_max_protocol_version": version})
    got = drive(server, relay(server.port, "--max-connections", "2", "--connect-timeout", "1"), "require")
    assert ENDED(got.pop("third")) and got == CANCELLED, got


@pytest.mark.parametrize("more", [{}, {"sslnegotiation": "direct"}], ids=["by request", "direct"])
def test_clients_cancel_and_are_told_in_tls_that_ends_here(postgres, relay, certificate, more):
    server = postgres()
    got = drive(server, relay(server.port, "--max-connections", "2", *certificate().options), "require", **more)
    assert "too many connections already" in got.pop("third") and got == CANCELLED, got


def test_clients_cancel_in_direct_tls_that_passes(postgres, relay, certificate):
    server = postgres("17", settings=certificate().settings)
    front = relay(server.port, "--max-connections", "2", "--connect-timeout", "1")
    got = drive(server, front, "require", sslnegotiation="direct")
    assert ENDED(got.pop("third")) and got == CANCELLED, got


def test_a_login_in_tls_that_passes_waits_for_room(postgres, relay, certificate):
    server = postgres(settings=certificate().settings)
    front = relay(server.port, "--max-connections", "1", "--connect-timeout", "60")
    session = servers.Connection("127.0.0.1", front.port, "admin")
    waiting = process.start([f"{server.bin}/psql", "-X", "-q", "-A", "-t", f"host=127.0.0.1 port={front.port} user=admin dbname=postgres "
                             "sslmode=require gssencmode=disable", "-c", "select 42"], stdout=-1, text=True, env=server.paths)
    wait_for(lambda: front.connections()["refused"] == 1, what="it waits", process=waiting)
    assert server.ask("select count(*) from pg_stat_activity where client_port is not null and pid <> pg_backend_pid() "
                      "and backend_type = 'client backend'") == "1"
    session.close()
    assert waiting.communicate(timeout=60)[0] == "42\n"
    wait_for(lambda: front.connections()["open"] == 0, what="all are gone")
    assert front.connections()["refused"] == 0


def handshake(port):
    """A client in TLS with the server, which has not said yet what it wants."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(struct.pack("!ii", 8, 80877103))
    assert client.recv(1) == b"S"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(client)


def test_places_for_cancel_requests_are_not_kept_by_others(postgres, relay, certificate):
    """More than there are places begin TLS and say nothing: the newest always has one, and none stays."""
    server = postgres(settings={**certificate().settings, "max_connections": "400"})
    front = relay(server.port, "--max-connections", "1")
    session = servers.Connection("127.0.0.1", front.port, "admin")
    silent = [handshake(front.port) for _ in range(300)]
    pid = server.ask("select pid from pg_stat_activity where client_port is not null and backend_type = 'client backend' "
                     "and pid <> pg_backend_pid()")
    assert pid.isdigit(), pid
    done = []
    query = threading.Thread(target=lambda: done.append(session.query("select pg_sleep(60)")[1]))
    query.start()
    wait_for(lambda: server.ask(f"select wait_event from pg_stat_activity where pid = {pid}") == "PgSleep", what="the query runs")
    late = handshake(front.port)
    late.sendall(struct.pack("!iiii", 16, 80877102, int(pid), 12345))
    assert late.recv(1) == b""
    wait_for(lambda: not silent or not alive(silent), what="those that say nothing are sent away")
    server.ask(f"select pg_cancel_backend({pid})")
    query.join()
    assert [error.state for error in done[0]] == ["57014"]
    assert front.connections()["open"] == 1


def test_who_has_nothing_to_cancel_is_told_without_tls(postgres, relay, certificate):
    """As libpq does it with sslmode=prefer, from another address than that of the open session."""
    server = postgres(settings=certificate().settings)
    front = relay(server.port, "--max-connections", "1")
    session = servers.Connection("127.0.0.1", front.port, "admin")
    with socket.create_connection(("127.0.0.1", front.port), timeout=20, source_address=("127.0.0.77", 0)) as client:
        client.sendall(struct.pack("!ii", 8, 80877103))
        assert client.recv(1) == b"N"
        client.sendall(struct.pack("!ii", 8, 196608))
        assert b"C53300" in client.recv(1000)
    session.close()
    # Nor is that of who had one.
    wait_for(lambda: front.connections()["open"] == 0, what="it is gone")
    with socket.create_connection(("127.0.0.1", front.port), timeout=20, source_address=("127.0.0.77", 0)) as other:
        wait_for(lambda: front.connections()["open"] == 1, what="the place is taken")
        with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
            client.sendall(struct.pack("!ii", 8, 80877103))
            assert client.recv(1) == b"N"
        other.sendall(struct.pack("!ii", 8, 80877103))
        assert other.recv(1) == b"S"


def alive(clients):
    """Forgets clients that are at their end."""
    for client in list(clients):
        client.settimeout(0)
        try:
            if client.recv(1) == b"":
                clients.remove(client)
        except (ssl.SSLWantReadError, BlockingIOError):
            continue
        except OSError:
            clients.remove(client)
    return clients
