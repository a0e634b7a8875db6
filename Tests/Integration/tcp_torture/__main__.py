# SPDX-License-Identifier: Apache-2.0
"""In a network namespace of its own: runs scripts against the kernel, many at a time, and leaves capture and truth in a folder.

usage: python3 -m tcp_torture COUNT SEED FOLDER [FIRST]
"""
import json
import os
import selectors
import signal
import subprocess
import sys
import time

from .judge import Judge
from .scripts import Script
from .wire import SERVER4, SERVER6, Line, hardware

TOGETHER = 150


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def set_up():
    """Two interfaces: the kernel's, and one without an address whose frames are made by hand."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "judge", "type", "veth", "peer", "name", "hands")
    for name in ("judge", "hands"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "w") as file:
            file.write("0")
    with open("/proc/sys/net/ipv6/conf/hands/disable_ipv6", "w") as file:
        file.write("1")
    ip("address", "add", f"{SERVER4}/24", "dev", "judge")
    ip("address", "add", f"{SERVER6}/64", "dev", "judge", "nodad")
    for name in ("hands", "judge"):
        ip("link", "set", name, "up")
    address = hardware("hands")
    ip("neigh", "add", "10.99.0.2", "lladdr", address, "dev", "judge", "nud", "permanent")
    ip("-6", "neigh", "add", "fd99::2", "lladdr", address, "dev", "judge", "nud", "permanent")
    ip("route", "add", "10.98.0.0/16", "via", "10.99.0.2")
    ip("-6", "route", "add", "fd98::/64", "via", "fd99::2")


def capture(folder):
    path = os.path.join(folder, "x.pcap")
    process = subprocess.Popen(["tcpdump", "-i", "judge", "-B", "65536", "-s", "0", "-U", "-Z", "root", "-w", path, "tcp"],
                               stderr=subprocess.PIPE, text=True)
    while "listening on" not in process.stderr.readline():
        if process.poll() is not None:
            sys.exit("tcpdump does not run")
    return process


def main():
    count, seed, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    set_up()
    dump = capture(folder)
    selector = selectors.DefaultSelector()
    judge, line = Judge(selector), Line("hands", "judge")
    selector.register(line.socket, selectors.EVENT_READ, lambda _: line.receive())
    scripts = []
    scripts += (Script(number, seed, line, judge, scripts) for number in range(first, first + count))
    waiting, pending = [], list(reversed(scripts))
    while waiting or pending:
        while pending and len(waiting) < TOGETHER:
            waiting.append((pending.pop().run(), (lambda: True), 0))
        now = time.monotonic()
        left = []
        for script, condition, until in waiting:
            while script and (condition() or now >= until):
                try:
                    condition, seconds = next(script)
                    until = now + seconds
                except StopIteration:
                    script = None
            if script:
                left.append((script, condition, until))
        waiting = left
        for key, _ in selector.select(0.004):
            key.data(key.fileobj)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        for key, _ in selector.select(0.05):
            key.data(key.fileobj)
    dump.send_signal(signal.SIGINT)
    _, errors = dump.communicate()
    lost = next((line for line in errors.splitlines() if "dropped by kernel" in line), "")
    truth = {"ran": [[user, text, times] for (user, text), times in judge.ran.items()],
             "scripts": {script.user: [script.address, script.done] for script in scripts}, "lost": not lost.startswith("0 ")}
    with open(os.path.join(folder, "truth.json"), "w") as file:
        json.dump(truth, file)


main()
