# SPDX-License-Identifier: Apache-2.0
"""haproxy before one port of 127.0.0.1, as the relay's peer."""
import os
import resource
import socket
import subprocess
import time

CONFIG = """
global
  nbthread {workers}
  maxconn {most}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  maxconn {most}
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s 127.0.0.1:{upstream}
"""


class Haproxy:
    """Listens on `port` from when it is made; its configuration lies in `folder`."""

    def __init__(self, folder, upstream, workers):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        path = os.path.join(folder, f"haproxy{self.port}.cfg")
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 100
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(workers=workers, most=most, port=self.port, upstream=upstream))
        self.process = subprocess.Popen(["haproxy", "-db", "-f", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pids = [self.process.pid]
        end = time.monotonic() + 30
        while not self.listens():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("haproxy does not listen")
            time.sleep(0.05)

    def listens(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait()
