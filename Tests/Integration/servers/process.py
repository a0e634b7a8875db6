# SPDX-License-Identifier: Apache-2.0
"""Processes and folders that end with whoever started them, and waiting for conditions."""
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Missing(Exception):
    """A version or a program that this machine cannot have."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=60, what=None, process=None):
    """What `condition` gives as soon as it is true. An error says what did not happen, or that `process` ended meanwhile."""
    end = time.monotonic() + seconds
    pause = 0.01
    while True:
        found = condition()
        if found:
            return found
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode} while waited for: {what or condition}")
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what or condition}")
        time.sleep(pause)
        pause = min(0.2, pause * 1.5)


class Folder:
    """A temporary folder that goes away with its owner, also when the owner is killed: a watcher holds the other end of a pipe."""

    def __init__(self, name="servers", user=None):
        self.path = tempfile.mkdtemp(prefix=f"pgweir-{name}-")
        os.chmod(self.path, 0o755)
        if user and os.getuid() == 0:
            shutil.chown(self.path, user)
        # The servers of a killed owner are ended by the kernel (`start`) and take a moment to close their files.
        script = 'trap "" INT TERM HUP; cat >/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$0"; [ -e "$0" ] || break; sleep 1; done'
        self.watcher = subprocess.Popen(["sh", "-c", script, self.path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, cwd="/", start_new_session=True)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.watcher.stdin.close()
        self.watcher.wait()


def unprivileged():
    """The user that servers run as where root starts them, since PostgreSQL and PgBouncer refuse root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Missing("neither a user postgres nor nobody is there for servers to run as")


def start(command, user=None, death=signal.SIGKILL, wrap=(), **more):
    """Starts a process that gets `death` when this one ends, however it ends.

    `wrap` stands before the command and keeps root's rights; the user is changed behind it.
    """
    identity = {}
    if user and os.getuid() == 0:
        if wrap:
            command = ["setpriv", "--reuid", user, "--regid", group(user), "--clear-groups", "--pdeathsig",
                       signal.Signals(death).name[3:], *command]
        else:
            identity = {"user": user, "group": group(user), "extra_groups": []}
    def prepare():
        # A shell that starts us in the background has these ignored, and a child inherits that.
        for ignored in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(ignored, signal.SIG_DFL)
        LIBC.prctl(PR_SET_PDEATHSIG, death, 0, 0, 0)

    return subprocess.Popen([*wrap, *command], preexec_fn=prepare,
                            start_new_session=True, **identity, **more)


def group(user):
    import grp
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def run(command, user=None, wrap=(), check=True, timeout=300, **more):
    """Runs a command to its end and gives its output; an error shows what it said."""
    more.setdefault("stdout", subprocess.PIPE)
    more.setdefault("stderr", subprocess.PIPE)
    source = more.pop("input", None)
    if source is not None:
        more["stdin"] = subprocess.PIPE
    else:
        more.setdefault("stdin", subprocess.DEVNULL)
    process = start(command, user, wrap=wrap, text=True, **more)
    try:
        out, error = process.communicate(source, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if check and process.returncode != 0:
        raise RuntimeError(f"{command[:4]} ended with {process.returncode}: {((error or '') + (out or ''))[-2000:]}")
    return subprocess.CompletedProcess(command, process.returncode, out, error)


def stop(process, first=signal.SIGTERM, seconds=20):
    """Asks a process to end, insists after a while, and gives its exit code."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


class Log:
    """A file that a server writes and tests read on from a mark."""

    def __init__(self, path):
        self.path = path

    def mark(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def since(self, mark=0):
        if not os.path.exists(self.path):
            return ""
        with open(self.path, "rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace")
