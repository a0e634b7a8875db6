# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL, traffic for it, and its own statistics to compare with."""
import glob
import json
import os
import re
import shutil
import subprocess
import time

from servers.process import free_port

PLANNABLE = ("select", "insert", "update", "delete", "merge", "values", "with", "table")
USERS = ("ann", "ben", "cat")


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

    def file(self, path):
        """Runs a file of SQL."""
        with open(path, encoding="utf-8") as file:
            self.ask(file.read())

    def run(self, program, *arguments, check=True):
        subprocess.run(
            [*self.prefix, os.path.join(self.bin, program), *arguments], check=check, cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )

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
                              stderr=subprocess.DEVNULL, **more)


def traffic(server):
    for mode in ("simple", "extended", "prepared"):
        for user in USERS:
            server.client(user, "pgbench", "-n", "-M", mode, "-c", "3", "-t", "40")
    server.client("ann", "psql", "-X", "-c", "select 1; select 2; select count(*) from pgbench_accounts")
    server.client("ann", "psql", "-X", "-c", "select 1; select 1/0; select 3", check=False)
    server.client("ben", "psql", "-X", "-c", "copy pgbench_branches to stdout")
    script = "begin;\nprepare p as select * from pgbench_tellers where tid = $1;\nexecute p(1);\nexecute p(2);\n"
    script += "deallocate p;\ncommit;\nselect nonsense;\nselect 'x' || generate_series(1, 500);\n"
    server.client("cat", "psql", "-X", input=script.encode())
    server.client("cat", "psql", "-X", "-v", "FETCH_COUNT=7", "-c", "select * from generate_series(1, 50)")


def compare(truth, ours):
    differences = 0
    for user in USERS:
        counted = sum(int(calls) for name, calls, query in truth
                      if name == user and re.sub(r"^[\s(]+", "", query.lower()).startswith(PLANNABLE + ("prepare",)))
        found = sum(entry["plannable"] for entry in ours["users"] if entry["user"] == user)
        mark = "passed" if counted == found and counted > 0 else "FAILED"
        differences += mark == "FAILED"
        print(f"  {user}: PostgreSQL counted {counted} queries, the replay {found}: {mark}")
    return differences


def prepare(server):
    """A database with pgbench's tables and pg_stat_statements, and the users of the traffic."""
    server.ask("create database shop")
    for user in USERS:
        server.ask(f"create role {user} login superuser")
    server.ask("create extension pg_stat_statements", "shop")
    server.run("pgbench", "-i", "-q", "-h", server.folder, "-p", str(server.port), "-U", "admin", "shop")


def statistics(server):
    """What pg_stat_statements counted: user, calls, text."""
    rows = server.ask("select json_agg(json_build_array(rolname, calls::text, query)) from pg_stat_statements s "
                      "join pg_roles r on r.oid = s.userid where toplevel", "shop")
    return json.loads(rows)
