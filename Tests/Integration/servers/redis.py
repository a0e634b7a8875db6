# SPDX-License-Identifier: Apache-2.0
"""Redis, in memory only."""
import shutil
import subprocess

from servers import process
from servers.process import Folder, Log, Missing, free_port, wait_for


class Redis:
    def __init__(self, *options, wrap=(), address="127.0.0.1"):
        if shutil.which("redis-server") is None:
            raise Missing("redis-server is not installed; Scripts/bootstrap test brings it")
        self.folder = Folder("redis")
        self.address, self.options, self.wrap = address, list(options), list(wrap)
        self.port = free_port()
        while self.port > 55_000:  # A cluster's nodes talk to each other 10,000 ports higher.
            self.port = free_port()
        self.log = Log(self.folder / "log")
        self.process = None
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self):
        return f"redis://{self.address}:{self.port}/0"

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", self.address, "--save", "", "--appendonly", "no",
                   "--dir", self.folder.path, "--logfile", self.log.path, *self.options]
        self.process = process.start(command, wrap=self.wrap, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        wait_for(lambda: self.ask("ping") == "PONG", what="Redis answers", process=self.process)

    def ask(self, *words):
        return process.run([*self.wrap, "redis-cli", "-h", self.address, "-p", str(self.port), *words], check=False).stdout.strip()

    def environment(self):
        return {"REDIS_URL": self.url, "REDIS_HOST": self.address, "REDIS_PORT": str(self.port)}

    def stop(self):
        if self.process:
            process.stop(self.process)
        self.folder.remove()

    def describe(self):
        version = [line for line in self.ask("info", "server").splitlines() if line.startswith("redis_version:")]
        return {"server": "redis", "version": version[0].split(":")[1], "folder": self.folder.path, "log": self.log.path,
                "pid": self.process.pid, "url": self.url, "environment": self.environment(),
                "reach": f"redis-cli -h {self.address} -p {self.port}"}
