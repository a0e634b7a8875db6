# SPDX-License-Identifier: Apache-2.0
"""The judge: a server of the kernel's own sockets that answers like PostgreSQL and notes every Query that was delivered to it."""
import collections
import selectors
import socket
import struct

from .wire import SERVER4, SERVER6


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


READY = message(b"Z", b"I")


class Session:
    def __init__(self, judge, connection):
        self.judge, self.connection = judge, connection
        self.user, self.buffer = None, b""

    def read(self):
        """Takes what the kernel delivers; false: the connection is over."""
        try:
            data = self.connection.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.buffer += data
        return self.parse() and bool(data)

    def parse(self):
        if self.user is None:
            if len(self.buffer) < 8 or len(self.buffer) < struct.unpack("!I", self.buffer[:4])[0]:
                return True
            length, version = struct.unpack("!II", self.buffer[:8])
            if version != 196608 or length > 10000:
                return False
            names = self.buffer[8:length].split(b"\0")
            self.user = names[names.index(b"user") + 1].decode()
            self.buffer = self.buffer[length:]
            self.judge.sessions[self.user] = self
            if not self.reply(message(b"R", bytes(4)) + READY):
                return False
        while len(self.buffer) >= 5:
            length = 1 + struct.unpack("!I", self.buffer[1:5])[0]
            if self.buffer[:1] not in b"QX" or length < 5 or length > 1 << 20:
                return False
            if len(self.buffer) < length:
                return True
            kind, body, self.buffer = self.buffer[:1], self.buffer[5:length], self.buffer[length:]
            if kind == b"X":
                return False
            self.judge.ran[self.user, body.split(b"\0")[0].decode("latin-1").strip()] += 1
            if not self.reply(message(b"C", b"SELECT 1\0") + READY):
                return False
        return True

    def reply(self, data):
        """False where the client is gone: PostgreSQL runs nothing more then."""
        try:
            self.connection.send(data)
            return True
        except OSError:
            return False


class Judge:
    """Listens on two ports: one with the usual buffers, one with small ones, so that its window can be filled."""

    USUAL, SMALL = 5432, 5433

    def __init__(self, selector):
        self.selector = selector
        self.ran = collections.Counter()
        self.sessions = {}
        self.resting = set()
        for address in (SERVER4, SERVER6):
            for port in (self.USUAL, self.SMALL):
                listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if port == self.SMALL:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                listener.bind((address, port))
                listener.listen(1024)
                listener.setblocking(False)
                selector.register(listener, selectors.EVENT_READ, self.accept)

    def accept(self, listener):
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(self, connection)
        self.selector.register(connection, selectors.EVENT_READ, lambda _: self.serve(session))

    def serve(self, session):
        if not session.read():
            self.selector.unregister(session.connection)
            session.connection.close()

    def rest(self, user):
        """That session reads nothing for a while, so its window closes."""
        session = self.sessions.get(user)
        if session and user not in self.resting and session.connection.fileno() >= 0:
            self.resting.add(user)
            self.selector.unregister(session.connection)

    def wake(self, user):
        if user in self.resting:
            self.resting.remove(user)
            session = self.sessions[user]
            self.selector.register(session.connection, selectors.EVENT_READ, lambda _: self.serve(session))
