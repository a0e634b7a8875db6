# SPDX-License-Identifier: Apache-2.0
"""pgweir-relay before servers, and certificates for it and for them."""
import json
import os
import shutil
import subprocess

from servers import process
from servers.daemon import pgweir
from servers.process import Folder, Log, Missing, free_port, wait_for


def program():
    """The relay beside the program under test; $PGWEIR_RELAY names another one."""
    place = os.environ.get("PGWEIR_RELAY") or os.path.join(os.path.dirname(pgweir()), "pgweir-relay")
    if not os.path.exists(place):
        raise Missing("pgweir-relay is not built: Scripts/build")
    return place


class Relay:
    """A relay on a free port of 127.0.0.1 before `upstreams`: ports there, or what --upstream takes.

    `successor_of`: the relay whose listeners it takes over. `log` holds what it says.
    """

    def __init__(self, upstreams, *options, successor_of=None, listen=None):
        self.program = program()
        self.folder = Folder("relay")
        self.port = successor_of.port if successor_of else free_port()
        self.control = successor_of.control if successor_of else self.folder / "relay.sock"
        self.log = Log(self.folder / "log")
        words = [self.program, "--control", self.control]
        words += ["--takeover"] if successor_of else ["--listen", listen or f"127.0.0.1:{self.port}"]
        for name in upstreams if isinstance(upstreams, (list, tuple)) else [upstreams]:
            words += ["--upstream", name if isinstance(name, str) else f"127.0.0.1:{name}"]
        if "--workers" not in options:
            words += ["--workers", "1"]
        with open(self.log.path, "ab") as log:
            self.process = process.start(words + [str(option) for option in options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(lambda: "relaying" in self.log.since(), what="the relay listens", process=self.process)
        except BaseException as error:
            said = self.log.since()
            self.stop()
            raise RuntimeError(f"{error}; it said: {said}") from error

    def status(self):
        return json.loads(process.run([self.program, "--status", "--control", self.control]).stdout)

    def connections(self):
        return self.status()["connections"]

    def healthy(self):
        """Whether each server is healthy."""
        return [upstream["healthy"] for upstream in self.status()["upstreams"]]

    def stop(self):
        process.stop(self.process)
        self.folder.remove()


class Certificate:
    """A certificate for localhost and 127.0.0.1 that is its own authority, with a key that a server's user can read."""

    def __init__(self):
        self.folder = Folder("tls", process.unprivileged())
        self.file, self.key = self.folder / "server.crt", self.folder / "server.key"
        process.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.key,
                     "-out", self.file])
        if os.getuid() == 0:
            shutil.chown(self.key, process.unprivileged())
        os.chmod(self.key, 0o600)

    @property
    def settings(self):
        """Of a PostgreSQL that shows it."""
        return {"ssl": "on", "ssl_cert_file": self.file, "ssl_key_file": self.key}

    @property
    def options(self):
        """Of a relay that shows it."""
        return ("--tls-cert", self.file, "--tls-key", self.key)

    def stop(self):
        self.folder.remove()
