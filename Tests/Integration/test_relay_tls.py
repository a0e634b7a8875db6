# SPDX-License-Identifier: Apache-2.0
"""Logins by SCRAM where the relay speaks TLS to the server: libpq's rules of channel binding, with real passwords."""
import os
import socket
import ssl
import struct
import threading

import pytest
from servers import process
from servers.wire import message


def scram_server(postgres, certificate):
    """A PostgreSQL whose user ann logs in by SCRAM, as every server with TLS offers it: with and without -PLUS."""
    server = postgres(settings={**certificate.settings, "password_encryption": "scram-sha-256"})
    server.ask("create role ann login password 'secret'")
    path = os.path.join(server.data, "pg_hba.conf")
    with open(path, encoding="utf-8") as file:
        rest = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write("host all ann all scram-sha-256\n" + rest)
    server.ask("select pg_reload_conf()")
    return server


def psql(server, port, mode, binding, sql="select ssl from pg_stat_ssl where pid = pg_backend_pid()"):
    # As who runs the tests: the server's user cannot look into our home for certificates.
    return process.run([os.path.join(server.bin, "psql"), "-X", "-q", "-A", "-t", f"host=127.0.0.1 port={port} user=ann dbname=postgres password=secret "
                       f"sslmode={mode} gssencmode=disable channel_binding={binding} connect_timeout=20", "-c", sql], env=server.paths, check=False)


@pytest.mark.parametrize("binding", ["prefer", "disable"])
@pytest.mark.parametrize("mode", ["disable", "prefer"])
def test_a_plain_client_logs_in_through_tls_to_the_server(postgres, relay, certificate, mode, binding):
    own = certificate()
    server = scram_server(postgres, own)
    front = relay(server.port, "--upstream-tls", "--upstream-ca", own.file)
    assert psql(server, front.port, mode, binding).stdout == "t\n"


def test_a_plain_client_that_insists_on_channel_binding_says_so(postgres, relay, certificate):
    own = certificate()
    server = scram_server(postgres, own)
    front = relay(server.port, "--upstream-tls")
    said = psql(server, front.port, "disable", "require").stderr
    assert "channel binding required" in said, said


def test_a_client_in_tls_of_its_own_without_channel_binding_logs_in(postgres, relay, certificate):
    own, other = certificate(), certificate()
    server = scram_server(postgres, own)
    front = relay(server.port, "--upstream-tls", *other.options)
    assert psql(server, front.port, "require", "disable").stdout == "t\n"


def test_a_client_in_tls_of_its_own_is_told_why_channel_binding_fails(postgres, relay, certificate):
    """Preferred, the server would take its absence for an attack; required, libpq itself says that it is not offered."""
    own, other = certificate(), certificate()
    server = scram_server(postgres, own)
    front = relay(server.port, "--upstream-tls", *other.options)
    said = psql(server, front.port, "require", "prefer").stderr
    assert "channel binding cannot work" in said and "channel_binding=disable" in said, said
    said = psql(server, front.port, "require", "require").stderr
    assert "channel binding" in said and "server did not offer" in said, said


@pytest.mark.parametrize("binding", ["prefer", "require", "disable"])
def test_with_the_servers_own_certificate_channels_are_bound_through_the_relay(postgres, relay, certificate, binding):
    own = certificate()
    server = scram_server(postgres, own)
    front = relay(server.port, "--upstream-tls", *own.options)
    assert psql(server, front.port, "require", binding).stdout == "t\n"


def test_tls_that_passes_keeps_channel_binding(postgres, relay, certificate):
    own = certificate()
    server = scram_server(postgres, own)
    front = relay(server.port)
    assert psql(server, front.port, "require", "require").stdout == "t\n"
    front = relay(server.port, *certificate().options)
    assert psql(server, front.port, "require", "prefer").stdout == "f\n"


class TLSScript:
    """A server in TLS that sends pieces, each in a record of its own; then it gives back what it is sent, or, at `None`, closes."""

    def __init__(self, certificate, pieces):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.file, certificate.key)
        self.pieces = pieces
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.recv(8)
            client.sendall(b"S")
            with self.context.wrap_socket(client, server_side=True) as end:
                end.recv(1000)
                for piece in self.pieces:
                    if piece is None:
                        break
                    end.sendall(piece)
                while self.pieces[-1] is not None and (data := end.recv(1000)):
                    end.sendall(data)


def offer(*names):
    return message(b"R", struct.pack("!i", 10) + b"".join(name.encode() + b"\0" for name in names) + b"\0")


NOTICE = message(b"N", b"SNOTICE\0\0")
NEGOTIATE = message(b"v", struct.pack("!ii", 196608, 0))
BOTH, ONE = offer("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"), offer("SCRAM-SHA-256")
ERROR = message(b"E", b"SFATAL\0C28000\0Mno\0\0")


@pytest.mark.parametrize("sent, wanted", [
    (BOTH, ONE), (NOTICE + NEGOTIATE + BOTH, NOTICE + NEGOTIATE + ONE), (ONE, ONE), (ERROR, ERROR), (NOTICE + ERROR, NOTICE + ERROR),
    (offer("SCRAM-SHA-256-PLUS"), offer("SCRAM-SHA-256-PLUS")), (b"R\0\0\0\x08\0\0\0\0" + BOTH, b"R\0\0\0\x08\0\0\0\0" + BOTH),
    (b"R\xff\xff\xff\xff" + BOTH, b"R\xff\xff\xff\xff" + BOTH), (b"hello" + BOTH, b"hello" + BOTH),
], ids=["offer", "behind others", "without", "error", "notice and error", "only", "behind ok", "bad length", "other"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_offers_in_pieces(relay, certificate, sent, wanted, size):
    """What comes apart stays whole, and what is not understood is not touched."""
    server = TLSScript(certificate(), [sent[start:start + size] for start in range(0, len(sent), size)])
    front = relay(server.port, "--upstream-tls")
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
        client.sendall(struct.pack("!ii", 8, 196608))
        got = b""
        # A message that is cut off is held until the server's end.
        while len(got) < len(wanted) and wanted != BOTH[:-5]:
            data = client.recv(1000)
            assert data, got
            got += data
        client.sendall(b"p" + struct.pack("!i", 8) + b"back")
        client.shutdown(socket.SHUT_WR)
        while data := client.recv(1000):
            got += data
    assert got == wanted + b"p" + struct.pack("!i", 8) + b"back"
    server.listener.close()


def test_an_offer_that_is_cut_off_goes_on_as_it_is(relay, certificate):
    server = TLSScript(certificate(), [BOTH[:-5], None])
    front = relay(server.port, "--upstream-tls")
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
        client.sendall(struct.pack("!ii", 8, 196608))
        got = b""
        while data := client.recv(1000):
            got += data
    assert got == BOTH[:-5]
    server.listener.close()
