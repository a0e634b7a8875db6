# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL 14 to 18: a primary, or a standby made by pg_basebackup."""
import os
import signal
import subprocess

from servers import cache, process
from servers.process import Folder, Log, free_port, wait_for
from servers.wire import Connection

VERSIONS = ("14", "15", "16", "17", "18")


class Postgres:
    """`settings`: lines of postgresql.conf as {name: value}. `source`: the primary that this one follows.

    `wrap`: a command before the server's, for example a network namespace's; `address`: where it listens there;
    `client_wrap`: a command before those that `client` runs.
    """

    def __init__(self, version="15", settings=None, source=None, wrap=(), address="127.0.0.1", hba=("host all all samenet trust",),
                 client_wrap=()):
        self.client_wrap = list(client_wrap)
        self.version, self.source, self.wrap, self.address = str(version), source, list(wrap), address
        self.bin = cache.postgres_binaries(self.version)
        # Libraries of a package from the cache find each other by this only.
        libraries = os.path.join(os.path.dirname(self.bin), "lib")
        self.paths = {**os.environ, "LD_LIBRARY_PATH": libraries} if self.bin.startswith(cache.root()) else None
        self.user = process.unprivileged()
        self.folder = Folder(f"postgres-{self.version}", self.user)
        self.data = self.folder / "data"
        self.port = free_port()
        self.log = Log(self.folder / "log")
        self.process = None
        self.standbys = []
        try:
            self.prepare(settings or {}, hba)
            self.start()
        except BaseException:
            self.stop()
            raise

    def prepare(self, settings, hba):
        if self.source:
            self.tool("pg_basebackup", "-h", self.source.folder.path, "-p", str(self.source.port), "-U", "admin", "-D", self.data, "-R",
                      "-X", "stream", "-c", "fast")
        else:
            self.tool("initdb", "-D", self.data, "-A", "trust", "-U", "admin", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
            with open(os.path.join(self.data, "pg_hba.conf"), "a", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in hba)
        lines = {"port": self.port, "unix_socket_directories": self.folder.path, "listen_addresses": self.address, "fsync": "off",
                 "shared_buffers": "32MB", "log_line_prefix": "%m [%p] %u@%d "}
        with open(os.path.join(self.data, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for name, value in {**lines, **settings}.items())

    def start(self):
        with open(self.log.path, "ab") as log:
            # SIGQUIT is an immediate shutdown: whoever started the server is gone and nobody needs its data.
            self.process = process.start([os.path.join(self.bin, "postgres"), "-D", self.data], self.user, signal.SIGQUIT, self.wrap,
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder.path, env=self.paths)
        wait_for(self.is_ready, what=f"PostgreSQL {self.version} is ready", process=self.process)

    def is_ready(self):
        return self.tool("pg_isready", "-q", "-h", self.folder.path, "-p", str(self.port), "-U", "admin", "-d", "postgres", check=False).returncode == 0

    def tool(self, program, *arguments, check=True, **more):
        """Runs a program of this server's version beside it."""
        return process.run([os.path.join(self.bin, program), *arguments], self.user, cwd=self.folder.path, check=check, env=self.paths, **more)

    def ask(self, sql, database="postgres", user="admin", check=True):
        """Runs SQL by psql over the Unix socket, which no tap sees; gives its output without the last line's end."""
        return self.tool("psql", "-X", "-q", "-A", "-t", "-h", self.folder.path, "-p", str(self.port), "-U", user, "-d", database,
                         "-v", "ON_ERROR_STOP=1", "-f", "-", input=sql, check=check).stdout.rstrip("\n")

    def conninfo(self, user="admin", database="postgres", **more):
        return " ".join(f"{name}={value}" for name, value in
                        {"host": self.address, "port": self.port, "user": user, "dbname": database, **more}.items())

    def connect(self, user="admin", database="postgres", by_socket=False, **settings):
        """A session by the protocol; over the Unix socket no tap sees it."""
        return Connection(self.folder.path if by_socket else self.address, self.port, user, database, **settings)

    def environment(self, user="admin", database="postgres"):
        return {"PGHOST": self.address, "PGPORT": str(self.port), "PGUSER": user, "PGDATABASE": database,
                "PGSSLMODE": "disable", "PGGSSENCMODE": "disable", "PGSOCKET": self.folder.path}

    @property
    def folder_path(self):
        """Where its Unix socket is."""
        return self.folder.path

    def client(self, user, program, *arguments, database="shop", check=True, **more):
        """Runs a client over TCP, where taps see it; `client_wrap` of the server stands before it."""
        more.setdefault("env", {**os.environ, **self.environment(user, database)})
        return process.run([program, *arguments], wrap=self.client_wrap, check=check, **more)

    def standby(self, settings=None, wrap=(), address=None):
        """A streaming replica of this server, which ends with it."""
        self.standbys.append(Postgres(self.version, settings, self, wrap or self.wrap, address or self.address))
        return self.standbys[-1]

    def caught_up(self):
        """Waits until all that the primary has written so far is replayed here."""
        target = self.source.ask("select pg_current_wal_flush_lsn()")
        wait_for(lambda: self.ask(f"select pg_last_wal_replay_lsn() >= '{target}'") == "t", what="the standby follows")

    def halt(self, first=signal.SIGQUIT):
        """Ends the server and keeps its data, for `start` to go on with."""
        return process.stop(self.process, first)

    def stop(self):
        for standby in self.standbys:
            standby.stop()
        if self.process:
            process.stop(self.process, signal.SIGQUIT)
        self.folder.remove()

    def describe(self):
        return {"server": "postgres", "version": self.ask("show server_version"), "folder": self.folder.path, "log": self.log.path,
                "pid": self.process.pid, "conninfo": self.conninfo(), "environment": self.environment(),
                "reach": f"psql '{self.conninfo()}'"}
