# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL, traffic for it, and its own statistics to compare with."""
import glob
import os
import shutil
import subprocess
import time

import counting
from counting import prepare, statistics, traffic
from servers.process import free_port

__all__ = ["Server", "compare", "free_port", "prepare", "statistics", "traffic"]


class Server:
    """`address`: where it listens; `wrap`: a command that runs another one where the server or a client belongs."""

    def __init__(self, folder, address="127.0.0.1", server_wrap=(), client_wrap=(), settings=(), binaries=None,
                 preload=True, source=None):
        self.address = address
        self.client_wrap = list(client_wrap)
        self.bin = binaries or sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.data = os.path.join(folder, "data")
        self.folder = folder
        self.port = free_port()
        # The server refuses to run as root.
        self.prefix = list(server_wrap)
        if os.getuid() == 0:
            self.prefix += ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        if source:
            self.run("pg_basebackup", "-h", source.folder, "-p", str(source.port), "-U", "admin", "-D", self.data, "-R",
                     "-X", "stream", "-c", "fast")
        else:
            self.run("initdb", "-D", self.data, "-A", "trust", "-U", "admin", "--no-sync")
            with open(os.path.join(self.data, "pg_hba.conf"), "a", encoding="utf-8") as file:
                file.write("host all all samenet trust\n")
        self.options = f"-p {self.port} -k {folder} -c listen_addresses={address} -c fsync=off"
        if preload:
            self.options += " -c shared_preload_libraries=pg_stat_statements"
        self.options += "".join(f" -c {setting}" for setting in settings)
        self.start()

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-l", os.path.join(self.folder, "log"), "-o", self.options, "start")

    def standby(self, folder, settings=()):
        """A streaming replica of this server."""
        return Server(folder, self.address, settings=settings, binaries=self.bin, source=self)

    def wait_for(self, primary):
        """Until all that the primary has written so far is replayed here."""
        target = primary.ask("select pg_current_wal_insert_lsn()").strip()
        for _ in range(300):
            if self.ask(f"select pg_last_wal_replay_lsn() >= '{target}'").strip() == "t":
                return
            time.sleep(0.1)
        raise RuntimeError("the standby does not follow")

    def file(self, path, database="postgres"):
        """Runs a file of SQL."""
        with open(path, encoding="utf-8") as file:
            self.ask(file.read(), database)

    def run(self, program, *arguments, check=True):
        subprocess.run(
            [*self.prefix, os.path.join(self.bin, program), *arguments], check=check, cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )

    tool = run

    @property
    def folder_path(self):
        return self.folder

    def stop(self, check=True):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop", check=check)

    def ask(self, sql, database="postgres"):
        """Asks over the Unix socket, which is not captured."""
        return subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-p", str(self.port), "-U", "admin", "-d", database,
             "-v", "ON_ERROR_STOP=1", "-c", sql],
            check=True, capture_output=True, text=True,
        ).stdout

    def client(self, user, program, *arguments, check=True, **more):
        environment = dict(os.environ, PGHOST=self.address, PGPORT=str(self.port), PGUSER=user, PGDATABASE="shop",
                           PGSSLMODE="disable", PGGSSENCMODE="disable")
        return subprocess.run([*self.client_wrap, program, *arguments], env=environment, check=check, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, text=True, **more)


def compare(truth, ours):
    differences = 0
    for user, (counted, found) in counting.counted(truth, ours).items():
        mark = "passed" if counted == found and counted > 0 else "FAILED"
        differences += mark == "FAILED"
        print(f"  {user}: PostgreSQL counted {counted} queries, the replay {found}: {mark}")
    return differences
