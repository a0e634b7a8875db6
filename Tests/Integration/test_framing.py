# SPDX-License-Identifier: Apache-2.0
"""Nobody pays for what others make up: servers that say yes to everybody, and sessions in tunnels that nobody named.

The daemon runs on packets of real sockets; forged datagrams are sent from a network namespace of their own.
"""
import os
import re
import socket
import struct
import sys
import threading
import time

import pytest

from servers import process, wait_for
from servers.process import free_port

ROWS = 1_000_000_000
HERE = os.path.dirname(os.path.abspath(__file__))


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def startup(user, database="postgres"):
    body = struct.pack("!i", 196608) + b"".join(part.encode() + b"\0" for part in ("user", user, "database", database)) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


ACCEPTED = message(b"R", struct.pack("!i", 0)) + message(b"Z", b"I")
ANSWER = message(b"C", b"INSERT 0 %d\0" % ROWS) + message(b"Z", b"I")


class FakeServer:
    """Says yes to any login and any query, and that each made very many rows."""

    def __init__(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((address, port))
        except OSError as error:
            self.socket.close()
            pytest.skip(f"no {address} here: {error}")
        self.socket.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client):
        with client:
            answer = ACCEPTED
            while client.recv(1 << 16):
                client.sendall(answer)
                answer = ANSWER

    def close(self):
        self.socket.close()


def frame(address, port, user, statements=5):
    """A tenant's own client, at a server of his."""
    with socket.create_connection((address, port), timeout=20) as connection:
        connection.sendall(startup(user))
        connection.recv(1 << 16)
        for _ in range(statements):
            connection.sendall(message(b"Q", b"INSERT INTO small SELECT 1\0"))
            connection.recv(1 << 16)


def honest(server, user="honest", statements=7):
    """A real client at the real server, by the network."""
    script = "".join(f"select {number};\n" for number in range(statements))
    server.tool("psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", user, "-d", "postgres", "-f", "-", input=script)


def users(report):
    """Statements, and cost at least and at most, of each user."""
    found = {}
    for user in report["users"]:
        entry = found.setdefault(user["user"], [0, 0, 0])
        for place, name in enumerate(("statements", "cost_units_low", "cost_units")):
            entry[place] += user[name]
    return found


def scrape(address, name):
    done = process.run(["curl", "-s", f"http://{address}/metrics"])
    found = re.search(rf"^{re.escape(name)} (\S+)$", done.stdout, re.M)
    assert found, f"no {name}"
    return float(found.group(1))


# Another address, the same of another kind, and a port that is watched too.
PLACES = [("127.0.0.3", 0), ("::1", 0), ("127.0.0.1", 1)]


@pytest.mark.parametrize("named", ["127.0.0.1:{port}", "127.0.0.1", "::1"])
def test_only_named_servers_count(postgres, daemon, pgweir, named, tmp_path):
    server = postgres()
    server.ask("create role honest login")
    named = named.format(port=server.port)
    page = f"127.0.0.1:{free_port()}"
    watcher = daemon(None, "-i", "lo", "-p", f"{server.port},{server.port + 1}", "--server", named, "--web.listen-address", page)
    fakes = [FakeServer(address, server.port + more) for address, more in PLACES]
    try:
        honest(server)
        for address, more in PLACES:
            frame(address, server.port + more, f"victim{more}{address}")
    finally:
        for fake in fakes:
            fake.close()
    # By which rule each of the four counts.
    counts = {place: named in (f"{place[0]}:{server.port + place[1]}", place[0]) for place in PLACES}
    is_honest = named.startswith("127.0.0.1")
    others = list(counts.values()).count(False) + (0 if is_honest else 1)
    watcher.wait(lambda status: status["report"]["sessions"]["other_servers"] >= others)
    time.sleep(0.5)
    report = watcher.status()["report"]
    assert report["sessions"]["other_servers"] == others
    seen = users(report)
    assert ("honest" in seen) == is_honest and seen.get("honest", [7])[0] == 7
    for (address, more), is_counted in counts.items():
        assert (f"victim{more}{address}" in seen) == is_counted, (named, address, more, seen)
    assert report["unattributed"]["statements"] == 0 and report["statements"]["total"] == 7 * is_honest + 5 * sum(counts.values())
    assert scrape(page, "pgweir_sessions_other_servers_total") == others
    text = watcher.ask("status").stdout
    assert f"{others} sessions with servers that are not named" in text and f"servers {named}" in text
    assert watcher.status()["daemon"]["servers"] == [named]


def test_replay_knows_named_servers(replay, pgweir, tmp_path):
    """IPv6, and both directions of the rule, from a file."""
    capture = tmp_path / "framed.pcap"
    with open(capture, "wb") as file:
        file.write(struct.pack("!IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        for number, packet in enumerate(packets("2001:db8::66", "2001:db8::5", "victim")):
            file.write(struct.pack("!IIII", 1000, number, len(packet), len(packet)) + packet)
    port = ["--port", "5432"]
    assert users(replay(capture, *port))["victim"][0] == 1
    for named in ("2001:db8::5", "[2001:db8::5]:5432"):
        assert users(replay(capture, *port, "--server", "10.0.0.5", "--server", named))["victim"][0] == 1
    for named in ("2001:db8::6", "[2001:db8::5]:5433", "10.0.0.5", "2001:db8::66"):
        report = replay(capture, "--server", named)
        assert not users(report) and report["sessions"]["other_servers"] == 1 and report["statements"]["total"] == 0, named
        lines = process.run([pgweir, "replay", capture, "--server", named, "--format", "ndjson"]).stdout
        assert lines == "", named
    for bad in ("db.example.org", "localhost:5432", "10.0.0.5:0", "10.0.0.0/8"):
        assert replay(capture, "--server", bad, check=False).returncode == 64, bad


def test_servers_that_are_asked_prove_themselves(postgres, daemon):
    """Without names, what passes at a server that nobody asks is possible, and is not lost."""
    server = postgres()
    server.ask("create role honest login; create role victim login")
    fake = FakeServer("127.0.0.3", server.port)
    watcher = daemon(server, "--activity", server.conninfo())
    try:
        honest(server)
        with socket.create_connection(("127.0.0.1", server.port)) as held, socket.create_connection(("127.0.0.3", server.port)) as other:
            # Sessions that are seen open, and not the daemon's own.
            for connection in (held, other):
                connection.sendall(startup("honest"))
                connection.recv(1 << 16)
            frame("127.0.0.3", server.port, "victim")
            wait_for(lambda: "neither --activity nor --pooler" in watcher.log.since(), 90, "the daemon warns", watcher.process)
            frame("127.0.0.3", server.port, "victim")
            honest(server)
            watcher.wait(lambda status: users(status["report"]).get("honest", [0])[0] >= 14)
            report = watcher.status()["report"]
    finally:
        fake.close()
    seen = users(report)
    assert seen["victim"][0] == 10 and seen["victim"][1] == 0 and seen["victim"][2] > 0
    assert seen["honest"][0] == 14 and seen["honest"][1] == seen["honest"][2] > 0
    assert f"127.0.0.3:{server.port}" in watcher.log.since()


# MARK: tunnels


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packets(client, server, user, statements=1):
    """A whole session as packets of IP, without checksums of TCP."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    ends = [(socket.inet_pton(family, client), 50000), (socket.inet_pton(family, server), 5432)]
    numbers = [100, 500]
    found = []

    def add(side, flags, data=b""):
        (source, own), (target, other) = ends[side], ends[1 - side]
        segment = struct.pack("!HHIIBBHHH", own, other, numbers[side], numbers[1 - side] if flags & 16 else 0, 0x50, flags, 65535, 0, 0)
        segment += data
        if family == socket.AF_INET6:
            head = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64) + source + target
        else:
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0) + source + target
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        found.append(head + segment)
        numbers[side] += len(data) + (1 if flags & 2 else 0)
    add(0, 2)
    add(1, 18)
    add(0, 24, startup(user))
    add(1, 24, ACCEPTED)
    for _ in range(statements):
        add(0, 24, message(b"Q", b"INSERT INTO small SELECT 1\0"))
        add(1, 24, ANSWER)
    return found


def encapsulated(kind, packet, number):
    """A packet in a tunnel of `kind`, as the payload of UDP or IP, and whereto: a port of UDP or a protocol of IP."""
    link = b"\2\0\0\0\0\1\2\0\0\0\0\2" + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0")
    network = struct.pack("!I", number << 8)
    return {
        "vxlan": (("udp", 4789), b"\x08\0\0\0" + network + link + packet),
        "geneve": (("udp", 6081), b"\0\0\x65\x58" + network + link + packet),
        "gre": (("ip", 47), b"\x20\0\x65\x58" + network + link + packet),
        "ipip": (("ip", 41 if packet[0] >> 4 == 6 else 4), packet),
    }[kind]


def send(source, target, kind, client, server, user, number):
    """Sends a forged session from an address of this host; run in a network namespace."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    for packet in packets(client, server, user):
        (layer, place), payload = encapsulated(kind, packet, int(number))
        if layer == "udp":
            sender = socket.socket(family, socket.SOCK_DGRAM)
        else:
            sender = socket.socket(family, socket.SOCK_RAW, place)
        with sender:
            sender.bind((source, 0))
            sender.sendto(payload, (target, place if layer == "udp" else 0))


MONITOR, MIRROR, ATTACKER = "10.99.0.1", "10.99.0.2", "10.99.0.66"


def test_only_named_senders_tunnels_are_looked_into(namespace, daemon):
    """A mirror at one address, an attacker at another one of the same network, and every kind of tunnel."""
    monitor, outside = namespace(), namespace()
    monitor.join(outside, f"{MONITOR}/24", f"{MIRROR}/24")
    outside.run("ip", "address", "add", f"{ATTACKER}/24", "dev", "cable")
    for space, address in ((monitor, "fd99::1/64"), (outside, "fd99::2/64"), (outside, "fd99::66/64")):
        space.run("ip", "address", "add", address, "dev", "cable", "nodad")
    kinds = ("vxlan", "geneve", "gre", "ipip")
    options = [word for kind in kinds for word in ("--tunnel", kind)]
    watcher = daemon(None, "-i", "cable", *options, "--tunnel-from", MIRROR, "--tunnel-from", "fd99::2/128", wrap=monitor.wrap)
    forge = lambda *words: outside.run(sys.executable, os.path.abspath(__file__), *map(str, words), env={**os.environ, "PYTHONPATH": HERE})  # noqa: E731
    each = len(packets("10.1.1.1", "10.1.1.2", "x"))
    forged = 0
    for index, kind in enumerate(kinds):
        forge(MIRROR, MONITOR, kind, f"10.1.{index}.1", "10.1.9.9", f"mirrored_{kind}", 7)
        # The same network's number and others, of the same server and of others; a session that goes on as the mirror's.
        for number, client in ((7, f"10.1.{index}.2"), (8, f"10.1.{index}.3"), (0xFFFFFF, "2001:db8::1")):
            forge(ATTACKER, MONITOR, kind, client, "2001:db8::9" if ":" in client else "10.1.9.9", f"victim_{kind}_{number}", number)
            forged += each
    for index, kind in enumerate(("vxlan", "geneve")):
        forge("fd99::2", "fd99::1", kind, f"10.2.{index}.1", "10.1.9.9", f"mirrored6_{kind}", 7)
        forge("fd99::66", "fd99::1", kind, f"10.2.{index}.2", "10.1.9.9", f"victim6_{kind}", 7)
        forged += each
    watcher.wait(lambda status: status["report"]["capture"]["ignored"].get("tunnel_sender", 0) >= forged)
    assert watcher.status()["report"]["capture"]["ignored"]["tunnel_sender"] == forged
    expected = {f"mirrored_{kind}" for kind in kinds} | {"mirrored6_geneve", "mirrored6_vxlan"}
    watcher.wait(lambda status: set(users(status["report"])) >= expected)
    seen = users(watcher.status()["report"])
    assert set(seen) == expected and all(entry[0] == 1 for entry in seen.values()), seen
    assert "tunnel_sender" in watcher.ask("status").stdout


def test_a_tunnel_needs_its_senders_names(pgweir, tmp_path):
    refused = process.run([pgweir, "run", "-i", "lo", "--tunnel", "vxlan", "--socket", "none"], check=False)
    assert refused.returncode == 64 and "--tunnel-from" in refused.stderr
    alone = process.run([pgweir, "run", "-i", "lo", "--tunnel-from", "10.0.0.1", "--socket", "none"], check=False)
    assert alone.returncode == 64 and "--tunnel" in alone.stderr
    bad = process.run([pgweir, "run", "-i", "lo", "--tunnel", "vxlan", "--tunnel-from", "10.0.0.0/33"], check=False)
    assert bad.returncode == 64
    file = tmp_path / "pgweir.yaml"
    for text, code, said in [
        ("capture: {interfaces: [lo], tunnels: [vxlan]}", 78, "--tunnel-from"),
        ("capture: {interfaces: [lo], tunnels: [vxlan], tunnel_senders: [10.0.8.0/24, 'fd00::/8'], servers: [10.0.0.5, '[fd00::5]:5433']}", 0, "good"),
        ("capture: {interfaces: [lo], servers: [db]}", 78, ":1:39: 'capture.servers' must be an address"),
        ("capture: {interfaces: [lo], tunnels: [gre], tunnel_senders: [10.0.0.0/33]}", 78, "'capture.tunnel_senders' must be an address"),
    ]:
        file.write_text(text + "\n", encoding="utf-8")
        done = process.run([pgweir, "config", "check", file], check=False)
        assert done.returncode == code and said in done.stdout + done.stderr, (text, done.stdout, done.stderr)


if __name__ == "__main__":
    send(*sys.argv[1:])
