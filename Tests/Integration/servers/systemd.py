# SPDX-License-Identifier: Apache-2.0
"""A booted systemd: the machine's own root under an overlay in memory, so that all it writes goes away with it."""
import os
import shutil
import signal
import subprocess

from servers import process
from servers.process import Folder, Log, Missing, wait_for

BOOT = """
set -eu
mount -t tmpfs -o mode=755 tmpfs "$0/memory"
mkdir "$0/memory/upper" "$0/memory/work" "$0/memory/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/memory/upper,workdir=$0/memory/work" "$0/memory/root"
mkdir -p "$0/memory/root/shared"
exec systemd-nspawn --quiet --boot --directory "$0/memory/root" --register=no --keep-unit --private-network \
    --bind "$0/shared:/shared" --console=read-only
"""


class Systemd:
    """`run` runs a command inside; the folder `shared` is /shared there."""

    def __init__(self):
        if os.getuid() != 0:
            raise Missing("systemd boots only for root")
        for program, package in (("systemd-nspawn", "systemd-container"), ("/lib/systemd/systemd", "systemd"), ("dbus-daemon", "dbus")):
            if shutil.which(program) is None:
                raise Missing(f"{program} is not installed; Debian's package is {package}")
        self.folder = Folder("systemd")
        self.log = Log(self.folder / "console")
        self.shared = self.folder / "shared"
        for name in ("memory", "shared"):
            os.mkdir(self.folder / name)
        self.process = self.leader = None
        try:
            with open(self.log.path, "ab") as log:
                self.process = process.start(["unshare", "--mount", "--propagation", "private", "sh", "-c", BOOT, self.folder.path],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.leader = wait_for(self.find_leader, what="systemd is started", process=self.process)
            wait_for(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"),
                     120, "systemd has booted", self.process)
        except BaseException as error:
            said = self.log.since()[-1500:]
            self.stop()
            if isinstance(error, RuntimeError):
                raise Missing(f"systemd does not boot here: {said}") from error
            raise

    def find_leader(self):
        """The process that is PID 1 inside: a child of nspawn's in another PID namespace."""
        own = os.readlink("/proc/self/ns/pid")
        waiting, seen = [self.process.pid], set()
        while waiting:
            pid = waiting.pop()
            seen.add(pid)
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
                    waiting += [int(word) for word in file.read().split() if int(word) not in seen]
                with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                    name = file.read().strip()
                if os.readlink(f"/proc/{pid}/ns/pid") != own and name == "systemd":
                    return pid
            except OSError:
                continue
        return None

    @property
    def wrap(self):
        return ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]

    def run(self, *command, check=True, **more):
        return process.run([*self.wrap, *command], check=check, **more)

    def environment(self):
        return {"SYSTEMD_LEADER": str(self.leader), "SYSTEMD_SHARED": self.shared, "SYSTEMD_RUN": " ".join(self.wrap)}

    def stop(self):
        if self.process:
            if self.leader:
                # PID 1 powers off on SIGRTMIN+4.
                try:
                    os.kill(self.leader, signal.SIGRTMIN + 4)
                    self.process.wait(15)
                except (OSError, subprocess.TimeoutExpired):
                    pass
            process.stop(self.process, signal.SIGKILL)
        self.folder.remove()

    def describe(self):
        return {"server": "systemd", "version": self.run("systemctl", "--version").stdout.split()[1], "folder": self.folder.path,
                "log": self.log.path, "pid": self.process.pid, "leader": self.leader, "shared": self.shared,
                "environment": self.environment(), "reach": " ".join([*self.wrap, "systemctl", "status"])}
