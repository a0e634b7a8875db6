# SPDX-License-Identifier: Apache-2.0
"""What the benchmark scripts share: folders, compiling the C tools, running things, reading pgweir's report."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BENCHMARKS = os.path.dirname(HERE)
REPOSITORY = os.path.dirname(BENCHMARKS)
DEFAULT_DIR = os.path.join(os.environ.get("TMPDIR") or "/tmp", "pgweir-bench")
DEFAULT_PGWEIR = os.path.join(REPOSITORY, ".build", "release", "pgweir")
PORT = "5432"


def fail(message):
    """Says what is wrong and ends the script with status 2, which means: nothing was measured."""
    print("error: " + message, file=sys.stderr)
    sys.exit(2)


def say(message):
    print(message, file=sys.stderr, flush=True)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            fail("%s is not installed" % program)


def add_arguments(parser, pgweir=True):
    parser.add_argument("--dir", default=DEFAULT_DIR, help="folder of the captures (default: %(default)s)")
    if pgweir:
        parser.add_argument("--pgweir", default=DEFAULT_PGWEIR, help="binary to measure (default: %(default)s)")
        parser.add_argument(
            "--pgweir-option",
            action="append",
            default=[],
            metavar="OPTION",
            help="further argument for `pgweir replay`, e.g. --pgweir-option=--some-limit=2000000",
        )


def check_pgweir(options):
    if not os.access(options.pgweir, os.X_OK):
        fail("no pgweir at %s: build it first (Scripts/build) or name it with --pgweir" % options.pgweir)


def build(name, directory, *flags):
    """Compiles tools/NAME.c into DIRECTORY/bin unless that is up to date; returns the program's path."""
    source, header = os.path.join(HERE, name + ".c"), os.path.join(HERE, "pcap.h")
    target = os.path.join(directory, "bin", name)
    newest = max(os.path.getmtime(source), os.path.getmtime(header))
    if os.path.exists(target) and os.path.getmtime(target) >= newest:
        return target
    compiler = next((c for c in (os.environ.get("CC"), "cc", "gcc", "clang") if c and shutil.which(c)), None)
    if compiler is None:
        fail("no C compiler (cc, gcc or clang)")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", target, source, *flags]
    if subprocess.run(command).returncode != 0:
        fail("cannot compile %s%s" % (source, " (is libpg-query-dev installed?)" if name == "normalize" else ""))
    return target


def output_of(command, **more):
    """Runs a helper that must succeed; returns its standard output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, **more)
    if done.returncode != 0:
        fail("%s ended with status %d" % (command[0], done.returncode))
    return done.stdout


def json_of(command, **more):
    return json.loads(output_of(command, **more))


def load_manifest(directory):
    path = os.path.join(directory, "manifest.json")
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        fail("no %s: run Benchmarks/make-captures --dir %s first" % (path, directory))


def capture_path(directory, name):
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        fail("no %s: run Benchmarks/make-captures --dir %s first" % (path, directory))
    return path


def cut(directory, name, packets):
    """The first PACKETS packets of a capture as a file of its own, made once and kept in DIRECTORY/cuts."""
    need("tcpdump")
    whole = capture_path(directory, name)
    part = os.path.join(directory, "cuts", "%s-%d.pcap" % (name.removesuffix(".pcap"), packets))
    if not os.path.exists(part) or os.path.getmtime(part) < os.path.getmtime(whole):
        os.makedirs(os.path.dirname(part), exist_ok=True)
        # -Z root: keep the rights to write here; harmless for others, who have none to give up.
        user = ["-Z", "root"] if os.geteuid() == 0 else []
        done = subprocess.run(
            ["tcpdump", *user, "-r", whole, "-c", str(packets), "-w", part], stderr=subprocess.DEVNULL
        )
        if done.returncode != 0:
            fail("tcpdump cannot cut %s" % whole)
    return part


class Run:
    """One finished process: CPU and wall seconds, peak RSS, what it printed."""

    def __init__(self, usage, wall, output):
        self.cpu = usage.ru_utime + usage.ru_stime
        self.wall = wall
        self.output = output

    def report(self):
        return parse_report(self.output)


def run(command, environment=None):
    """Runs COMMAND to its end with its output in a file (so that no reader disturbs it); measures by wait4."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if process.returncode != 0:
            errors.seek(0)
            fail(
                "%s ended with status %d: %s"
                % (" ".join(command), process.returncode, errors.read(2000).decode(errors="replace").strip())
            )
        return Run(usage, wall, out.read().decode(errors="replace"))


def replay_command(options, capture, workers=1):
    return [
        options.pgweir,
        "replay",
        capture,
        "--workers",
        str(workers),
        "--port",
        PORT,
        "--format",
        "json",
        *options.pgweir_option,
    ]


def parse_report(text):
    """pgweir's JSON report."""
    try:
        return json.loads(text)
    except ValueError:
        fail("pgweir did not print JSON but: %r" % text[:200])


def statements(report):
    """(total, completed) of a report."""
    try:
        return report["statements"]["total"], report["statements"]["completed"]
    except (KeyError, TypeError):
        fail("pgweir's report has no statements.total and statements.completed")
