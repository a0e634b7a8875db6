# SPDX-License-Identifier: Apache-2.0
"""Network namespaces without names: each lives as long as a process of ours does."""
import os
import subprocess

from servers import process
from servers.process import Missing, wait_for


class Namespace:
    """`wrap` stands before a command that is to run inside."""

    def __init__(self):
        if os.getuid() != 0:
            raise Missing("network namespaces need root")
        self.holder = process.start(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own, what="the namespace is there", process=self.holder)
        self.wrap = ["nsenter", "--net", f"--target={self.holder.pid}"]
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command, check=True, **more):
        return process.run([*self.wrap, *command], check=check, **more)

    def join(self, other, ours, theirs, name="cable"):
        """A cable between two namespaces; addresses as 10.0.0.1/24. The ends are called `name`."""
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", str(other.holder.pid))
        for space, address in ((self, ours), (other, theirs)):
            space.run("ip", "address", "add", address, "dev", name)
            space.run("ip", "link", "set", name, "up")

    def stop(self):
        process.stop(self.holder)
