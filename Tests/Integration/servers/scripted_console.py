# SPDX-License-Identifier: Apache-2.0
"""A console that behaves as PgBouncer versions were measured that no package brings: 1.21 to 1.23 and 1.25.

It reads the real ini and the files that it includes, has connections to servers that live, are opened and are let go, and
counts what its clients would have suffered: `errors` where a load closes logins that are under way, `crashes` where it meets
them and the version may end. No statement is run.
"""
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from servers import process
from servers.process import Folder, free_port, wait_for

LOGIN = 0.15  # seconds that a connection to a server takes to be opened


def row_description(names):
    body = struct.pack("!h", len(names))
    for name in names:
        body += name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
    return b"T" + struct.pack("!i", len(body) + 4) + body


def data_row(values):
    body = struct.pack("!h", len(values))
    for value in values:
        value = str(value).encode()
        body += struct.pack("!i", len(value)) + value
    return b"D" + struct.pack("!i", len(body) + 4) + body


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


class ScriptedPgBouncer:
    """`demand`: connections that each user would use. `is_alive` is false after a crash."""

    def __init__(self, version, tls="prefer", demand=None, users=None):
        self.version, self.tls = version, tls
        self.number = tuple(int(part) for part in version.split("."))
        self.demand = demand or {"ann": 10, "ben": 4}
        self.folder = Folder(f"scripted-{version}")
        self.port = free_port()
        self.ini, self.limits = self.folder / "pgbouncer.ini", self.folder / "limits.ini"
        self.pid_file = self.folder / "pid"
        lines = users or ["ann = pool_mode=transaction max_user_connections=8"]
        with open(self.limits, "w", encoding="utf-8"):
            pass
        with open(self.ini, "w", encoding="utf-8") as file:
            file.write("[databases]\n* = host=127.0.0.1\n[pgbouncer]\nserver_lifetime = 1800\n[users]\n" + "\n".join(lines)
                       + f"\n%include {self.limits}\n")
        self.lock = threading.RLock()
        self.reloads, self.sets, self.errors, self.crashes, self.is_alive = [], [], 0, 0, True
        self.lifetime, self.acknowledged = "1800", None
        self.settings = {}
        self.held = set()
        # Whether a login is always under way while the file of limits is not loaded yet.
        self.is_busy_once_written = False
        # A connection: the time at which it was opened, in the future while its login is under way.
        self.connections = {user: [] for user in self.demand}
        self.read_files()
        self.fill()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()
        threading.Thread(target=self.live, daemon=True).start()
        # A process of the name, to be signalled: it says when it was told to load the files.
        script = ("import signal, sys, time; open('/proc/self/comm', 'w').write('pgbouncer'); "
                  "signal.signal(signal.SIGHUP, lambda *_: print('HUP', flush=True)); print('up', flush=True)\nwhile 1: time.sleep(9)")
        self.process = process.start([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        with open(self.pid_file, "w", encoding="utf-8") as file:
            file.write(f"{self.process.pid}\n")
        self.heeding = threading.Thread(target=self.heed, daemon=True)
        self.heeding.start()

    def heed(self):
        for _ in self.process.stdout:
            if self.is_alive:
                self.reload()

    # MARK: The pools

    def read_files(self):
        section, settings, acknowledged = "", {}, None
        for path in (self.ini, self.limits):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    line = line.strip()
                    if line.startswith("["):
                        section = line
                    elif not line or line[0] in ";%":
                        continue
                    elif section == "[users]":
                        name, _, rest = line.partition("=")
                        settings[name.strip().strip("'")] = dict(word.split("=") for word in rest.split())
                    elif line.startswith("quota_ack"):
                        acknowledged = dict(word.split("=") for word in line.split()[2:])["dbname"]
        # What is left out stays as it was.
        self.settings = {**self.settings, **settings}
        self.acknowledged = acknowledged

    def limit(self, user):
        return int(self.settings.get(user, {}).get("max_user_connections", 0)) or 1000

    def fill(self):
        now = time.monotonic()
        for user, opened in self.connections.items():
            while len(opened) < min(self.demand[user], self.limit(user)):
                opened.append(now + LOGIN)

    def has_unread(self):
        with open(self.limits, encoding="utf-8") as file:
            return (self.acknowledged or "none yet") not in file.read()

    def logins(self, user):
        if self.is_busy_once_written and self.has_unread():
            return 1
        now = time.monotonic()
        return sum(at > now for at in self.connections[user]) + (user in self.held)

    def live(self):
        """Lets go of connections that are older than server_lifetime, one by one, and opens others."""
        while self.is_alive:
            time.sleep(0.05)
            with self.lock:
                now = time.monotonic()
                for opened in self.connections.values():
                    old = [at for at in opened if now - at > float(self.lifetime)]
                    if old and int(now * 20) % 5 == 0:
                        opened.remove(min(old))
                self.fill()

    def reload(self):
        with self.lock:
            under_way = sum(self.logins(user) for user in self.connections)
            self.reloads.append((time.monotonic(), under_way))
            recycles = self.number < (1, 24, 0) and self.tls != "disable"
            if under_way and recycles:
                self.errors += under_way
            if under_way and (1, 25, 0) <= self.number <= (1, 25, 2) and self.tls != "disable":
                self.crashes += 1
                self.is_alive = False
            self.lifetime = "1800"
            self.read_files()
            if recycles:
                self.connections = {user: [] for user in self.demand}
            self.fill()

    # MARK: The console

    def accept(self):
        while self.is_alive:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while True:
                (length,) = struct.unpack("!i", stream.read(4))
                (code,) = struct.unpack("!i", stream.read(4))
                stream.read(length - 8)
                if code in (80877103, 80877104):
                    connection.sendall(b"N")
                    continue
                break
            connection.sendall(message(b"R", struct.pack("!i", 0)) + message(b"S", b"server_version\0" + self.version.encode() +
                               b"/bouncer\0") + message(b"S", b"client_encoding\0UTF8\0") +
                               message(b"S", b"standard_conforming_strings\0on\0") + message(b"K", struct.pack("!ii", 1, 1)) + message(b"Z", b"I"))
            while self.is_alive:
                kind = stream.read(1)
                if not kind or kind == b"X":
                    return
                (length,) = struct.unpack("!i", stream.read(4))
                body = stream.read(length - 4)
                if kind == b"Q":
                    answer = self.answer(body.rstrip(b"\0").decode())
                    if not self.is_alive:
                        return
                    connection.sendall(answer + message(b"Z", b"I"))
        except (OSError, struct.error):
            pass
        finally:
            connection.close()

    def answer(self, command):
        words = command.upper().split()
        with self.lock:
            if words[0] == "RELOAD":
                self.reload()
                return message(b"C", b"RELOAD\0")
            if words[0] == "SET":
                key, _, value = command[4:].partition("=")
                self.sets.append((key.strip(), value.strip()))
                if key.strip() == "server_lifetime":
                    self.lifetime = value.strip()
                return message(b"C", b"SET\0")
            tables = {"VERSION": self.show_version, "CONFIG": self.show_config, "USERS": self.show_users,
                      "POOLS": self.show_pools, "DATABASES": self.show_databases, "STATS": self.show_stats}
            if words[0] != "SHOW" or words[1] not in tables:
                return message(b"E", b"SERROR\0C08P01\0Minvalid command\0\0")
            names, rows = tables[words[1]]()
        return row_description(names) + b"".join(data_row(row) for row in rows) + message(b"C", b"SHOW\0")

    def show_version(self):
        return ["version"], [[f"PgBouncer {self.version}"]]

    def show_config(self):
        settings = {"conffile": self.ini, "server_lifetime": self.lifetime, "server_tls_sslmode": self.tls, "admin_users": "watcher",
                    "stats_users": "", "auth_user": "", "auth_query": "", "max_user_connections": "0", "query_wait_timeout": "120"}
        return ["key", "value"], list(settings.items())

    def show_users(self):
        if self.number < (1, 23, 0):
            return ["name", "pool_mode"], [[user, ""] for user in self.demand]
        return (["name", "pool_size", "pool_mode", "max_user_connections", "current_connections"],
                [[user, "", "", self.settings.get(user, {}).get("max_user_connections", 0), len(opened)]
                 for user, opened in self.connections.items()])

    def show_pools(self):
        names = ["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait",
                 "pool_mode"]
        rows = []
        for user, opened in self.connections.items():
            logins = self.logins(user)
            rows.append(["shop", user, 20, 0, max(0, len(opened) - logins), 0, 0, 0, logins, 0, "transaction"])
        return names, rows

    def show_databases(self):
        rows = [["shop", "shop", ""]]
        if self.acknowledged:
            rows.append(["quota_ack", self.acknowledged, ""])
        return ["name", "database", "force_user"], rows

    def show_stats(self):
        return ["database", "avg_xact_time"], [["shop", "1000"]]

    @property
    def console(self):
        return f"host=127.0.0.1 port={self.port} user=watcher dbname=pgbouncer sslmode=disable gssencmode=disable"

    def settle(self):
        """Waits until no login is under way."""
        wait_for(lambda: not sum(self.logins(user) for user in self.connections), what="no login is under way")

    def stop(self):
        self.is_alive = False
        self.listener.close()
        process.stop(self.process, signal.SIGKILL)
        # It may be reading the files.
        self.heeding.join(10)
        self.folder.remove()
