# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL's protocol by hand: a test decides which messages go, and sees each answer."""
import socket
import struct


class ServerError(Exception):
    def __init__(self, fields):
        self.state, self.message = fields.get("C", ""), fields.get("M", "")
        super().__init__(f"{self.state} {self.message}")


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def text(value):
    return value.encode() + b"\0"


class Connection:
    """A session without a password. Answers come as (kind, body); `rows` of the last query as lists of texts."""

    def __init__(self, address, port, user, database="postgres", seconds=60, **settings):
        if address.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            target = f"{address}/.s.PGSQL.{port}"
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            target = (address, int(port))
        self.socket.settimeout(seconds)
        self.socket.connect(target)
        self.stream = self.socket.makefile("rb")
        body = struct.pack("!i", 196608)
        for name, value in {"user": user, "database": database, **settings}.items():
            body += text(name) + text(value)
        self.socket.sendall(struct.pack("!i", len(body) + 5) + body + b"\0")
        self.until_ready()

    def read(self):
        head = self.stream.read(5)
        if len(head) < 5:
            raise ConnectionError("the server closed the connection")
        kind, length = struct.unpack("!ci", head)
        return kind, self.stream.read(length - 4)

    def until_ready(self):
        """Reads to ReadyForQuery; gives rows and the errors."""
        rows, errors = [], []
        while True:
            kind, body = self.read()
            if kind == b"Z":
                if errors and not hasattr(self, "is_ready"):
                    raise errors[0]
                self.is_ready = True
                return rows, errors
            if kind == b"E":
                errors.append(ServerError({field[:1].decode(): field[1:].decode(errors="replace") for field in body.split(b"\0") if field}))
                if not hasattr(self, "is_ready"):
                    raise errors[0]
            elif kind == b"D":
                rows.append(columns(body))
            elif kind == b"G":
                self.socket.sendall(message(b"f", text("no")))

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def query(self, sql):
        """A simple Query; gives (rows, errors)."""
        self.send(message(b"Q", text(sql)))
        return self.until_ready()

    def ask(self, sql):
        """A simple Query that has to succeed; gives its rows."""
        rows, errors = self.query(sql)
        if errors:
            raise errors[0]
        return rows

    def extended(self, sql, types=(), values=()):
        """Parse, Bind, Execute and Sync of an unnamed statement; values as texts or None."""
        bind = text("") * 2 + struct.pack("!hh", 0, len(values))
        for value in values:
            data = None if value is None else value.encode()
            bind += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
        self.send(parse(sql, types), message(b"B", bind + struct.pack("!h", 0)), message(b"E", text("") + struct.pack("!i", 0)),
                  message(b"S"))
        return self.until_ready()

    def refusal(self, sql, types=()):
        """The error of Parse alone, which plans and runs nothing; `None` for none."""
        self.send(parse(sql, types), message(b"S"))
        errors = self.until_ready()[1]
        return errors[0] if errors else None

    def close(self):
        self.stream.close()
        self.socket.close()


def parse(sql, types=(), name=""):
    return message(b"P", text(name) + text(sql) + struct.pack(f"!h{len(types)}I", len(types), *types))


def columns(body):
    count = struct.unpack_from("!h", body)[0]
    found, place = [], 2
    for _ in range(count):
        length = struct.unpack_from("!i", body, place)[0]
        place += 4
        found.append(None if length < 0 else body[place:place + length].decode(errors="replace"))
        place += max(0, length)
    return found
