# SPDX-License-Identifier: Apache-2.0
"""PgBouncer 1.18 of Debian 12, 1.24 of Debian 13 and 1.26 of Debian's next.

Others are taken from $PGWEIR_PGBOUNCERS/VERSION/pgbouncer, where somebody built them.
"""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess

from servers import cache, process
from servers.process import Folder, Log, Missing, free_port, wait_for

SUITES = {"1.18": "bookworm", "1.24": "trixie", "1.26": "forky"}
VERSIONS = tuple(SUITES)


def built_versions():
    """Versions that somebody built for these tests."""
    return tuple(sorted(os.path.basename(os.path.dirname(path)) for path in
                        glob.glob(os.path.join(os.environ.get("PGWEIR_PGBOUNCERS", "/nonexistent"), "*/pgbouncer"))))


def command(version):
    """How a version is started: the machine's own, or one with its own loader and libraries, of which nothing is installed."""
    own = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if own:
        said = subprocess.run([own, "--version"], capture_output=True, text=True, check=False).stdout
        if re.search(rf"\b{re.escape(version)}\.", said):
            return [own]
    built = os.path.join(os.environ.get("PGWEIR_PGBOUNCERS", "/nonexistent"), version, "pgbouncer")
    if os.access(built, os.X_OK):
        return [built]
    if version not in SUITES:
        raise Missing(f"PgBouncer {version} comes from no suite that is known here: {', '.join(SUITES)}")
    place = cache.fetched(f"pgbouncer-{version}", lambda folder: cache.debian_package("pgbouncer", SUITES[version], folder))
    program = os.path.join(place, "usr/sbin/pgbouncer")
    loaders = glob.glob(os.path.join(place, "usr/lib*/ld-linux-*")) + glob.glob(os.path.join(place, "lib*/ld-linux-*"))
    libraries = ":".join(sorted({os.path.dirname(path) for path in glob.glob(os.path.join(place, "**/*.so.*"), recursive=True)
                                 if re.search(r"/lib/[a-z0-9_]+-linux-gnu$", os.path.dirname(path))}))
    if not loaders or not os.path.exists(program):
        raise Missing(f"the package of PgBouncer {version} lacks a program or its loader")
    full = [loaders[0], "--library-path", libraries, "--argv0", "pgbouncer", program]
    said = subprocess.run([*full, "--version"], capture_output=True, text=True, check=False)
    if not re.search(rf"\b{re.escape(version)}\.", said.stdout):
        raise Missing(f"PgBouncer {version} does not run here, or its suite has another by now: "
                      f"{(said.stdout + said.stderr).strip()[:300]}")
    return full


class PgBouncer:
    """In front of `server` (all databases), as a service would run it; `includes` are empty files that the ini includes.

    `settings`: of the section [pgbouncer]; `sections`: text behind it. `watcher` is the console's user.
    """

    def __init__(self, version, server=None, users=("ann", "ben", "cat", "watcher"), settings=None, sections="", includes=(),
                 wrap=(), address="127.0.0.1"):
        self.version, self.server, self.wrap, self.address = version, server, list(wrap), address
        self.command = command(version)
        self.user = process.unprivileged()
        self.folder = Folder(f"pgbouncer-{version}", self.user)
        self.port = free_port()
        self.ini = self.folder / "pgbouncer.ini"
        self.log = Log(self.folder / "pgbouncer.log")
        self.process = None
        target = f"host={server.address} port={server.port}" if server else "host=127.0.0.1"
        options = {"listen_addr": address, "listen_port": self.port, "unix_socket_dir": self.folder.path, "auth_type": "trust",
                   "auth_file": self.folder / "users.txt", "admin_users": "watcher", "pool_mode": "transaction",
                   "default_pool_size": 20, "max_client_conn": 200, "logfile": self.log.path, "pidfile": self.folder / "pid",
                   **(settings or {})}
        self.write("users.txt", "".join(f'"{user}" ""\n' for user in users))
        for name in includes:
            self.write(name, "")
        text = f"[databases]\n* = {target}\n[users]\n[pgbouncer]\n"
        text += "".join(f"{name} = {value}\n" for name, value in options.items())
        text += sections + "".join(f"%include {self.folder / name}\n" for name in includes)
        self.write("pgbouncer.ini", text)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def write(self, name, text):
        with open(self.folder / name, "w", encoding="utf-8") as file:
            file.write(text)
        if self.user:
            shutil.chown(self.folder / name, self.user)

    def start(self):
        self.process = process.start([*self.command, self.ini], self.user, signal.SIGQUIT, self.wrap, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder.path)
        wait_for(self.is_ready, what=f"PgBouncer {self.version} answers", process=self.process)

    def is_ready(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.folder / f".s.PGSQL.{self.port}") == 0

    def console(self, command):
        """Rows of a console command, as lists of texts."""
        done = process.run(["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-h", self.folder.path, "-p", str(self.port), "-U", "watcher",
                            "-d", "pgbouncer", "-c", command])
        return [line.split("\t") for line in done.stdout.splitlines()]

    def conninfo(self, user="ann", database="postgres", **more):
        return " ".join(f"{name}={value}" for name, value in
                        {"host": self.address, "port": self.port, "user": user, "dbname": database, **more}.items())

    def environment(self, user="watcher", database="pgbouncer"):
        return {"PGHOST": self.address, "PGPORT": str(self.port), "PGUSER": user, "PGDATABASE": database,
                "PGSSLMODE": "disable", "PGGSSENCMODE": "disable", "PGBOUNCER_INI": self.ini}

    def stop(self):
        if self.process:
            # SIGQUIT ends it at once in every version; SIGTERM waits for clients from 1.23 on.
            process.stop(self.process, signal.SIGQUIT)
        self.folder.remove()

    def describe(self):
        return {"server": "pgbouncer", "version": self.console("show version")[0][0], "folder": self.folder.path, "log": self.log.path,
                "ini": self.ini, "pid": self.process.pid, "conninfo": self.conninfo("watcher", "pgbouncer"),
                "environment": self.environment(), "reach": f"psql '{self.conninfo('watcher', 'pgbouncer')}' -c 'show pools'"}
