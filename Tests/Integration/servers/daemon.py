# SPDX-License-Identifier: Apache-2.0
"""pgweir itself: the daemon with its status socket and log, and replays of captures."""
import json
import os
import signal
import subprocess

from servers import process
from servers.process import Folder, Log, Missing, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.abspath(os.path.join(HERE, "../../.."))


def pgweir():
    """The program under test: $PGWEIR, else the release build, else the debug build."""
    places = [os.environ.get("PGWEIR"), *(os.path.join(CHECKOUT, ".build", kind, "pgweir") for kind in ("release", "debug"))]
    for place in places:
        if place and os.path.exists(place):
            return os.path.abspath(place)
    raise Missing("pgweir is not built: Scripts/build, or PGWEIR=PATH")


def replay(capture, *options, program=None, check=True):
    """The report of a replay."""
    done = process.run([program or pgweir(), "replay", capture, "--format", "json", *options], check=check)
    return json.loads(done.stdout) if done.returncode == 0 else done


class Daemon:
    """`pgweir run` on the port of `server` on interface `interface`, with its state in its folder.

    Options that are named here are left out where `options` gives them. `wrap`: a command before pgweir's.
    """

    def __init__(self, server=None, *options, program=None, interface="lo", wrap=(), environment=None, folder=None):
        self.program, self.wrap = program or pgweir(), list(wrap)
        self.folder, self.owns_folder = folder or Folder("daemon"), folder is None
        self.socket, self.state = self.folder / "socket", self.folder / "state"
        self.log = Log(self.folder / "daemon.log")
        self.output = Log(self.folder / "daemon.out")
        self.environment = {**os.environ, "STATE_DIRECTORY": self.state, **(environment or {})}
        options = [str(option) for option in options]
        given = {"--socket": self.socket, "--state": self.state, "--format": "json"}
        self.command = [self.program, "run", *options]
        if server is not None:
            self.command += ["-i", interface, "-p", str(getattr(server, "port", server))]
        for name, value in given.items():
            if name not in options:
                self.command += [name, value]
        self.process = None
        try:
            self.start()
        except BaseException:
            self.stop(check=False)
            raise

    def start(self):
        with open(self.log.path, "ab") as log, open(self.output.path, "ab") as output:
            self.process = process.start(self.command, wrap=self.wrap, stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                                         env=self.environment)
        try:
            wait_for(self.try_status, what="the daemon answers", process=self.process)
        except (RuntimeError, TimeoutError) as error:
            raise RuntimeError(f"{error}; it said: {self.log.since()[-2000:]}") from error

    def try_status(self):
        done = self.ask("status", "--format", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def status(self):
        self.assert_alive()
        return json.loads(self.ask("status", "--format", "json").stdout)

    def ask(self, *command, check=True):
        """A command that talks to the daemon by its socket."""
        return process.run([*self.wrap, self.program, *command, "--socket", self.socket], env=self.environment, check=check)

    def pricing(self, name=None):
        counters = self.status().get("pricing", {})
        return counters if name is None else counters.get(name, 0)

    def assert_alive(self):
        code = self.process.poll()
        assert code is None, f"the daemon ended with {code}: {self.log.since()[-2000:]}"

    def wait(self, condition, seconds=60, what=None):
        """Until `condition(status)` holds; fails at once when the daemon ends."""
        return wait_for(lambda: condition(self.status()), seconds, what, self.process)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self, check=True, first=signal.SIGTERM, seconds=60):
        """Ends the daemon in order; its exit code, which has to be 0 where `check` is set."""
        code = process.stop(self.process, first, seconds) if self.process else None
        said = self.log.since()[-2000:]
        if self.owns_folder:
            self.folder.remove()
        assert not check or code == 0, f"the daemon ended with {code}: {said}"
        return code
