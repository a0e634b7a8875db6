# SPDX-License-Identifier: Apache-2.0
"""What tests of limits need: a PgBouncer that includes a file of limits, a daemon and a guard beside it, and load."""
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile

from servers import process, wait_for

SMALL = """quota:
  time_zone: UTC
  tiers:
    small: {hourly: 1G}
    unlimited: {}
  default_tier: small
"""


def config(folder, text=SMALL):
    path = os.path.join(folder, "pgweir.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def limited(limits):
    """Users whom the file limits, with their connections."""
    with open(limits, encoding="utf-8") as file:
        text = file.read()
    # The line below 'release' limits; the one below 'released' gives back.
    return {name.strip("'"): int(count) for _, name, count in re.findall(
        r"^; release ('[^']*'|\S+) = [^\n]*\n('[^']*'|\S+) = [^\n]*?max_user_connections=(\d+)", text, re.M)}


class Site:
    """`pooler` with a daemon and, unless `guarded` is false, a guard; `with` ends both."""

    def __init__(self, daemon, pgweir, pooler, *options, guarded=True, ini=False, lease=15, text=SMALL):
        self.pooler, self.pgweir = pooler, pgweir
        self.limits = getattr(pooler, "limits", None) or pooler.folder / "limits.ini"
        self.pid_file = getattr(pooler, "pid_file", None) or pooler.folder / "pid"
        self.console = getattr(pooler, "own_console", None) or (
            pooler.console if isinstance(pooler.console, str) else pooler.conninfo("watcher", "pgbouncer"))
        self.guard_process = None
        if guarded:
            self.start_guard()
        self.folder = tempfile.mkdtemp(prefix="pgweir-limits-")
        self.config = config(self.folder, text)
        self.backend = ["--pgbouncer", self.console, "--limits", self.limits, "--pgbouncer-pid", self.pid_file]
        if ini:
            self.backend += ["--pgbouncer-ini", pooler.ini]
        self.make = lambda: daemon(pooler, "--config", self.config, "--lease", str(lease), *self.backend, *options)
        self.daemon = self.make()

    def start_guard(self):
        self.guard_process = process.start(
            [self.pgweir, "guard", "--limits", self.limits, "--pgbouncer-pid", self.pid_file, "--every", "1"],
            getattr(self.pooler, "user", None), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.limits + ".guard"), what="the guard looked", process=self.guard_process)

    def stop_guard(self, how=signal.SIGTERM):
        if self.guard_process:
            process.stop(self.guard_process, how)
            self.guard_process = None

    def quota(self, *words, check=True):
        return self.daemon.ask("quota", *words, check=check)

    def standing(self, user):
        """How the limit of `user` stands: its state, its reason and the connections that PgBouncer has."""
        users = json.loads(self.quota("show", user, "--format", "json").stdout)["users"]
        entries = users[0]["enforcement"] if users else []
        return entries[0] if entries else {"state": None, "reason": ""}

    def limit(self, user, connections, state="enforced", seconds=60):
        self.quota("limit", user, "--connections", str(connections), "--for", "1h", "--reason", "test")
        return self.await_state(user, state, connections, seconds)

    def await_state(self, user, state, connections=None, seconds=60):
        def is_so():
            entry = self.standing(user)
            return entry if entry["state"] == state and (connections is None or entry.get("connections") == str(connections)) else None
        return wait_for(is_so, seconds, f"{user} is {state}: {self.standing(user)}", self.daemon.process)

    def release(self, user):
        self.quota("release", user, "--reason", "test")
        wait_for(lambda: user not in limited(self.limits), what=f"{user} is released in the file")

    def end(self):
        self.stop_guard()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Load:
    """pgbench of a user by a pooler, and what it says each second."""

    def __init__(self, pooler, user, clients, seconds=3600, pause=0.005):
        self.script = tempfile.NamedTemporaryFile("w", suffix=".sql")
        self.script.write(f"select pg_sleep({pause});\n")
        self.script.flush()
        self.user = user
        self.said = tempfile.TemporaryFile("w+")
        self.process = process.start(
            ["pgbench", "-n", "-f", self.script.name, "-c", str(clients), "-T", str(seconds), "-P", "1", "-h", pooler.address, "-p",
             str(pooler.port), "-U", user, "postgres"], stdin=subprocess.DEVNULL, stdout=self.said, stderr=subprocess.STDOUT)

    def text(self):
        self.said.seek(0)
        return self.said.read()

    def rates(self):
        return [float(rate) for rate in re.findall(r"^progress: [\d.]+ s, ([\d.]+) tps", self.text(), re.M)]

    def errors(self):
        lines = [line for line in self.text().splitlines() if re.search("error|FATAL|aborted|closed the connection", line)]
        failed = re.findall(r" (\d+) failed", self.text())
        return lines + [f"{count} failed" for count in failed if count != "0"]

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            process.stop(self.process, signal.SIGINT)
        self.script.close()
