# SPDX-License-Identifier: Apache-2.0
"""What the tests of churn are made of: connections that come and go, packets made by hand, and a server that counts."""
import os
import re
import selectors
import socket
import struct
import threading

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
READY = b"Z" + struct.pack("!i", 5) + b"I"
ACCEPTED = b"R" + struct.pack("!ii", 8, 0) + READY
DONE = b"C" + struct.pack("!i", 13) + b"SELECT 1\0" + READY
END = b"X" + struct.pack("!i", 4)


def startup(user, database="postgres"):
    body = struct.pack("!i", 196608) + b"user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"
    return struct.pack("!i", len(body) + 4) + body


def query(text):
    return b"Q" + struct.pack("!i", len(text) + 5) + text.encode() + b"\0"


def short_session(port, user="visitor", statements=1, address="127.0.0.1"):
    """One connection from its beginning to its end: a login, perhaps statements, and the server's end of it."""
    with socket.create_connection((address, port), 20) as end:
        end.sendall(startup(user))
        read_ready(end)
        for number in range(statements):
            end.sendall(query(f"select {number}"))
            read_ready(end)
        end.sendall(END)
        while end.recv(4096):
            pass


def read_ready(end):
    """Reads up to ReadyForQuery, which is the last of each answer."""
    data = b""
    while not data.endswith(READY):
        more = end.recv(65536)
        if not more:
            raise ConnectionError(f"the server closed the connection after {data[-200:]}")
        data += more


class CountingServer:
    """Speaks enough of PostgreSQL's protocol for sessions, much faster than a server that forks; counts statements by user."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.statements = {}
        self.sessions = 0
        self.selector = selectors.DefaultSelector()
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.is_over = False
        self.thread.start()

    def run(self):
        while not self.is_over:
            for key, _ in self.selector.select(0.2):
                if key.data is None:
                    self.accept()
                else:
                    self.read(key.fileobj, key.data)

    def accept(self):
        try:
            end, _ = self.listener.accept()
        except BlockingIOError:
            return
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(end, selectors.EVENT_READ, {"bytes": b"", "user": None})

    def read(self, end, state):
        try:
            data = end.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            return self.close(end)
        state["bytes"] += data
        while state["bytes"]:
            kind = b"" if state["user"] is None else state["bytes"][:1]
            rest = state["bytes"][len(kind):]
            if len(rest) < 4 or len(rest) < struct.unpack("!i", rest[:4])[0]:
                return None
            length = struct.unpack("!i", rest[:4])[0]
            body, state["bytes"] = rest[4:length], rest[length:]
            if state["user"] is None and body[:4] == SSL_REQUEST[4:]:
                end.sendall(b"N")
            elif state["user"] is None:
                state["user"] = re.search(rb"user\0([^\0]*)", body).group(1).decode()
                self.sessions += 1
                end.sendall(ACCEPTED)
            elif kind == b"Q":
                self.statements[state["user"]] = self.statements.get(state["user"], 0) + 1
                end.sendall(DONE)
            elif kind == b"X":
                return self.close(end)
        return None

    def close(self, end):
        self.selector.unregister(end)
        end.close()

    def stop(self):
        self.is_over = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


# Packets, as another machine would send them.

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def frame(source, destination, sequence, acknowledgment, flags, payload=b"", hardware=b"\xff" * 6):
    """An Ethernet frame of one TCP segment between two (address, port)."""
    tcp = struct.pack("!HHIIBBHHH", source[1], destination[1], sequence & 0xFFFFFFFF, acknowledgment & 0xFFFFFFFF, 5 << 4, flags,
                      65000, 0, 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, socket.inet_aton(source[0]),
                     socket.inet_aton(destination[0]))
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return hardware + b"\x02" + b"\0" * 5 + b"\x08\0" + ip[:10] + struct.pack("!H", total) + ip[12:] + tcp


class PacketSession:
    """A session of which every packet is made here, from both sides."""

    def __init__(self, send, client, server, user, start=1000):
        self.send, self.client, self.server = send, client, server
        self.here, self.there = start, start * 7 & 0xFFFFFFFF
        self.ours(SYN)
        self.theirs(SYN | ACK)
        self.ours(ACK)
        self.ours(ACK | PSH, startup(user))
        self.theirs(ACK | PSH, ACCEPTED)

    def ours(self, flags, payload=b""):
        self.send(frame(self.client, self.server, self.here, self.there, flags, payload))
        self.here += len(payload) + (1 if flags & (SYN | FIN) else 0)

    def theirs(self, flags, payload=b""):
        self.send(frame(self.server, self.client, self.there, self.here, flags, payload))
        self.there += len(payload) + (1 if flags & (SYN | FIN) else 0)

    def query(self, text="select 1"):
        self.ours(ACK | PSH, query(text))
        self.theirs(ACK | PSH, DONE)

    def close(self):
        self.ours(ACK | PSH, END)
        self.ours(FIN | ACK)
        self.theirs(FIN | ACK)
        self.ours(ACK)

    def reset(self):
        self.ours(RST)

    def leave(self):
        """Neither side says that it is over."""


class Injector:
    """Sends frames out of an interface, from a thread that lives in another network namespace."""

    def __init__(self, namespace_pid, interface):
        self.namespace, self.interface = f"/proc/{namespace_pid}/ns/net", interface

    def run(self, body):
        """Runs `body(send)` there; what it raises is raised here."""
        outcome = []

        def work():
            try:
                with open(self.namespace, encoding="utf-8") as file:
                    enter(file.fileno())
                with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
                    raw.bind((self.interface, 0))
                    outcome.append((body(raw.send), None))
            except BaseException as error:  # noqa: B036 - told by the caller
                outcome.append((None, error))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        result, error = outcome[0]
        if error:
            raise error
        return result


def enter(descriptor):
    """Moves this thread, and no other, into a network namespace."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0x40000000) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
