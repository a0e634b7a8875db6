# SPDX-License-Identifier: Apache-2.0
"""What the tests of the proxy are made of: a relay, scripted servers and clients, a daemon."""
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import time

from postgres import free_port


class Checks:
    failures = 0

    def __call__(self, what, is_good, detail=""):
        self.failures += not is_good
        print(f"{what}: {'passed' if is_good else 'FAILED'} {detail}".rstrip(), flush=True)


def until(condition, seconds=10.0):
    """Whether a condition came about in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def cpu(pid):
    """CPU seconds of a process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """Bytes of anonymous memory of a process."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon"))


class Process:
    """A program with a log, which it has begun once the log holds a word."""

    def __init__(self, words, log, sign, stdout=subprocess.DEVNULL, **more):
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(words, stdout=stdout, stderr=file, **more)
        if not until(lambda: sign in self.said() or self.process.poll() is not None) or self.process.poll() is not None:
            raise SystemExit(f"FAILED: {words[0]} did not start: {self.said()}")

    def said(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def stop(self, seconds=20):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            output, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
        return output

    def kill(self):
        self.process.kill()
        self.process.wait()


class Relay(Process):
    number = 0

    def __init__(self, program, folder, upstream, *options, wrap=(), listen=True, control=None):
        Relay.number += 1
        self.program = program
        self.port = free_port()
        self.control = control or os.path.join(folder, f"relay{Relay.number}")
        words = [*wrap, program, "--control", self.control, "--drain-timeout", "5"]
        words += ["--listen", f"127.0.0.1:{self.port}"] if listen else []
        for name in upstream if isinstance(upstream, list) else [upstream]:
            words += ["--upstream", f"127.0.0.1:{name}" if isinstance(name, int) else name]
        super().__init__(words + list(options), os.path.join(folder, f"relay{Relay.number}.log"), "relaying")

    @property
    def pid(self):
        return self.process.pid

    def status(self):
        answer = subprocess.run([self.program, "--status", "--control", self.control], capture_output=True, check=True)
        return json.loads(answer.stdout)


class Daemon(Process):
    number = 0

    def __init__(self, program, folder, control, *options):
        Daemon.number += 1
        self.program = program
        self.socket = os.path.join(folder, f"socket{Daemon.number}")
        super().__init__([program, "run", "--mode", "proxy", "--relay", control, "--socket", self.socket, "--format", "json",
                          "--no-quotas", *options], os.path.join(folder, f"daemon{Daemon.number}.log"), "watching",
                         stdout=subprocess.PIPE)

    def status(self):
        answer = subprocess.run([self.program, "status", "--socket", self.socket, "--format", "json"], check=True,
                                capture_output=True)
        return json.loads(answer.stdout)

    def report(self):
        return json.loads(self.stop())


class Pair:
    """A scripted client and a scripted server, with a relay in between."""

    def __init__(self, program, folder, *options):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.settimeout(10)
        self.relay = Relay(program, folder, self.listener.getsockname()[1], *options)

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.relay.port))
        server, _ = self.listener.accept()
        for end in (client, server):
            end.settimeout(10)
        return client, server

    def stop(self):
        self.relay.stop()
        self.listener.close()


def reset(end):
    """Closes by an RST."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def ending(end):
    """How a connection ends for this side: 'end', 'reset' or what else was read."""
    try:
        data = end.recv(65536)
        return "end" if not data else data
    except ConnectionResetError:
        return "reset"
    except socket.timeout:
        return "nothing"


def read_all(end, digest=None):
    """Reads up to the end; the count and the digest of the bytes."""
    digest = digest or hashlib.md5()
    count = 0
    while True:
        data = end.recv(1 << 18)
        if not data:
            return count, digest.hexdigest()
        count += len(data)
        digest.update(data)


def bench(server, port, *options, seconds=None, user="ann", environment=None, **more):
    """Starts pgbench at a port."""
    environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": user, "PGDATABASE": "shop",
                   "PGSSLMODE": "disable", "PGGSSENCMODE": "disable", **(environment or {})}
    words = ["pgbench", "-n", *options] + (["-T", str(seconds)] if seconds else [])
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def outcome(process):
    """Exit status, failed transactions and tps of a pgbench."""
    output, errors = process.communicate(timeout=120)
    failed = next((int(line.split(":")[1].split()[0]) for line in output.splitlines() if "failed transactions" in line), -1)
    tps = next((float(line.split("=")[1].split()[0]) for line in output.splitlines() if line.startswith("tps")), 0.0)
    is_good = process.returncode == 0 and failed == 0 and "error" not in errors.lower()
    return is_good, tps, errors.strip()[:300]


def psql(port, *words, user="ann", mode="disable", host="127.0.0.1", **more):
    environment = dict(os.environ, PGUSER=user, PGDATABASE="shop", PGSSLMODE=mode, PGGSSENCMODE="disable",
                       PGCONNECT_TIMEOUT="20")
    environment.update(more.pop("environment", {}))
    return subprocess.run(["psql", "-X", "-q", "-A", "-t", "-h", host, "-p", str(port), *words], env=environment,
                          capture_output=True, text=True, timeout=120, check=False, **more)
