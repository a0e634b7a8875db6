#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Captures real PostgreSQL traffic: a private server, pgbench against it, tcpdump between them.

    capture_base.py OUT.pcap [--own-network] [--scale 1.0] [--pg-bin DIR]

Run by make-captures, inside a network namespace of its own (then --own-network: lo gets an Ethernet MTU and no
offloads, so segments are real). Server and its files live in a temporary folder and are gone at the end. Prints JSON:
what pgbench says it did, and from that how many Query and Execute messages must be in the capture.
"""

import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SQL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sql")
ROLES = 16
# Builtin scripts: SQL commands per transaction.
BUILTIN = {"tpcb-like": 7, "simple-update": 5, "select-only": 1}
# ORM scripts and their weights.
ORM = {"list": 3, "in_list": 3, "session": 2, "upsert": 1, "insert": 2, "work": 2, "rows": 1}
MODES = ("simple", "extended", "prepared")


def plan():
    """Yields (mode, clients, transactions per client, builtin or None for ORM, new connection per transaction)."""
    for mode in MODES:
        yield mode, 8, 600, "tpcb-like", False
        yield mode, 8, 3000, "select-only", False
        yield mode, 4, 600, "simple-update", False
        yield mode, 6, 2500, None, False
        yield mode, 4, 120, "select-only", True
    yield "simple", 6, 2500, None, False
    yield "simple", 8, 2500, "select-only", False
    yield "simple", 8, 800, "tpcb-like", False


def fail(message):
    sys.exit("capture_base: " + message)


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        fail("%s: %s" % (" ".join(command), done.stdout.strip()))
    return done.stdout


def prepare_network():
    call("ip", "link", "set", "lo", "mtu", "1500", "up")
    call("ethtool", "-K", "lo", "tso", "off", "gso", "off", "gro", "off")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find_postgres(given):
    places = [given] if given else sorted(glob.glob("/usr/lib/postgresql/15/bin"))
    places += [os.path.dirname(p) for p in [shutil.which("initdb")] if p]
    for place in places:
        if os.access(os.path.join(place, "initdb"), os.X_OK):
            return place
    fail("no PostgreSQL 15 server programs found: install postgresql-15 or give --pg-bin")


@contextlib.contextmanager
def postgres(binaries, port):
    """A running server without durability or passwords; yields the folder of its Unix socket."""
    # PostgreSQL refuses to run as root; the account of Debian's package is as good as any.
    account = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pgweir-pg-") as folder:
        if account:
            shutil.chown(folder, "postgres", "postgres")
        data, log = os.path.join(folder, "data"), os.path.join(folder, "log")
        with open(log, "wb") as sink:
            made = subprocess.run(
                [
                    os.path.join(binaries, "initdb"),
                    "-D",
                    data,
                    "-U",
                    "postgres",
                    "-A",
                    "trust",
                    "-N",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8",
                ],
                stdout=sink,
                stderr=sink,
                cwd=folder,
                **account,
            )
            if made.returncode != 0:
                fail("initdb: " + open(log, encoding="utf-8").read())
            settings = {
                "port": port,
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": folder,
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
                "jit": "off",
                "max_wal_size": "4GB",
                "shared_buffers": "256MB",
            }
            server = subprocess.Popen(
                [os.path.join(binaries, "postgres"), "-D", data, *("-c%s=%s" % s for s in settings.items())],
                stdout=sink,
                stderr=sink,
                cwd=folder,
                **account,
            )
            try:
                for _ in range(300):
                    ready = subprocess.run(
                        [os.path.join(binaries, "pg_isready"), "-h", folder, "-p", str(port)], stdout=subprocess.DEVNULL
                    )
                    if ready.returncode == 0:
                        break
                    if server.poll() is not None:
                        fail("server: " + open(log, encoding="utf-8").read())
                    time.sleep(0.1)
                else:
                    fail("the server does not answer")
                yield folder
            finally:
                server.send_signal(2)  # SIGINT: fast shutdown
                server.wait()


@contextlib.contextmanager
def tcpdump(path, port):
    """Captures while the body runs; fails if the kernel dropped a packet."""
    user = ["-Z", "root"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        ["tcpdump", *user, "-i", "lo", "-B", "262144", "-s", "0", "-w", path, "tcp port %d" % port],
        stderr=subprocess.PIPE,
        text=True,
    )
    first = ""
    while "listening on" not in first:
        line = process.stderr.readline()
        if line == "":
            fail("tcpdump: " + first.strip())
        first += line
    result = {}
    try:
        yield result
    finally:
        time.sleep(2)  # let the kernel hand over what it still holds
        process.send_signal(2)
        rest = process.stderr.read()
        process.wait()
    dropped = re.search(r"(\d+) packets? dropped by kernel", rest)
    captured = re.search(r"(\d+) packets? captured", rest)
    if not dropped or not captured:
        fail("tcpdump says: " + rest)
    result["packets"], result["kernel_dropped"] = int(captured[1]), int(dropped[1])
    if result["kernel_dropped"]:
        fail("the kernel dropped %s packets: try again on a quieter machine" % dropped[1])


def commands_in(script):
    """SQL commands of a custom script: each ends a line with a semicolon."""
    with open(os.path.join(SQL, script + ".sql"), encoding="utf-8") as file:
        return sum(line.rstrip().endswith(";") and not line.startswith(("\\", "--")) for line in file)


def bench(binaries, port, role, mode, clients, transactions, builtin, churn):
    """One pgbench run; returns what it did and how many SQL commands that means."""
    command = [
        os.path.join(binaries, "pgbench"),
        "-n",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        role,
        "-M",
        mode,
        "-c",
        str(clients),
        "-t",
        str(transactions),
    ]
    if builtin:
        command += ["-b", builtin]
    else:
        for script, weight in ORM.items():
            command += ["-f", "%s@%d" % (os.path.join(SQL, script + ".sql"), weight)]
    text = call(*command, *(["-C"] if churn else []), "postgres")
    if not re.search(r"number of failed transactions: 0 ", text):
        fail("pgbench had failures:\n" + text)
    if builtin:
        done = int(re.search(r"actually processed: (\d+)", text)[1])
        commands = done * BUILTIN[builtin]
    else:
        counts = dict(zip(ORM, map(int, re.findall(r"^ - (\d+) transactions \(", text, re.M))))
        if len(counts) != len(ORM):
            fail("cannot read pgbench's counts:\n" + text)
        done = sum(counts.values())
        commands = sum(n * commands_in(script) for script, n in counts.items())
    if done != clients * transactions:
        fail("pgbench stopped early:\n" + text)
    return {
        "mode": mode,
        "script": builtin or "orm",
        "clients": clients,
        "connection_per_transaction": churn,
        "transactions": done,
        "commands": commands,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--own-network", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--pg-bin")
    options = parser.parse_args()
    os.environ.update(PGCLIENTENCODING="UTF8", PGDATABASE="postgres")
    binaries, port = find_postgres(options.pg_bin), 5432
    if options.own_network:
        prepare_network()
    else:
        port = free_port()
    runs = []
    with postgres(binaries, port) as folder:
        call(
            os.path.join(binaries, "psql"),
            "-qX",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            folder,
            "-p",
            str(port),
            "-U",
            "postgres",
            "-f",
            os.path.join(SQL, "schema.sql"),
        )
        call(os.path.join(binaries, "pgbench"), "-i", "-q", "-s", "10", "-h", folder, "-p", str(port), "-U", "postgres")
        with tcpdump(options.out, port) as captured:
            for i, (mode, clients, transactions, builtin, churn) in enumerate(plan()):
                transactions = max(20, round(transactions * options.scale))
                runs.append(
                    bench(binaries, port, "tenant_%02d" % (i % ROLES), mode, clients, transactions, builtin, churn)
                )
                print(
                    "  pgbench %(mode)s %(script)s: %(transactions)d transactions" % runs[-1],
                    file=sys.stderr,
                    flush=True,
                )
    # pgbench itself asks two questions about its tables before a builtin script (15: GetTableInfo), as simple queries.
    queries = sum(r["commands"] for r in runs if r["mode"] == "simple") + 2 * sum(r["script"] != "orm" for r in runs)
    executes = sum(r["commands"] for r in runs if r["mode"] != "simple")
    version = call(os.path.join(binaries, "postgres"), "--version").strip()
    print(
        json.dumps(
            {"server": version, "port": port, "queries": queries, "executes": executes, **captured, "pgbench": runs}
        )
    )


if __name__ == "__main__":
    main()
