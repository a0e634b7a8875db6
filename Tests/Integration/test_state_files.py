# SPDX-License-Identifier: Apache-2.0
"""Damaged, foreign and unwritable state: the daemon says so, works, and stops with 0."""
import contextlib
import glob
import os
import random
import shutil
import sqlite3
import subprocess
import urllib.request

import pytest
from servers import free_port, wait_for

FILES = ["prices.sqlite", "ledger.sqlite", "history.sqlite", "minutes.sqlite", "node", "secret", "audit.jsonl"]


def garble(path, choose):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    for _ in range(max(20, len(data) // 200)):
        if data:
            data[choose.randrange(len(data))] = choose.randrange(256)
    with open(path, "wb") as file:
        file.write(data)


def away(path):
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path + suffix)


def replace(make):
    def damage(path, choose):
        away(path)
        make(path, choose)
    return damage


def rubbish(path, choose):
    with open(path, "wb") as file:
        file.write(choose.randbytes(40_000))


def foreign(path, _):
    with contextlib.closing(sqlite3.connect(path)) as base:
        for table in ("price", "register", "audit", "minutes", "users", "patterns", "grdb_migrations"):
            base.execute(f"create table {table} (x)")
        base.commit()


DAMAGE = {
    "truncated": lambda path, choose: os.truncate(path, choose.randrange(max(1, os.path.getsize(path)))),
    "garbled": garble,
    "empty": lambda path, _: os.truncate(path, 0),
    "rubbish": replace(rubbish),
    "foreign": replace(foreign),
    "folder": replace(lambda path, _: os.mkdir(path)),
    "fifo": replace(lambda path, _: os.mkfifo(path)),
    "loop": replace(lambda path, _: os.symlink(path, path)),
    "dangling": replace(lambda path, _: os.symlink("/nonexistent/file", path)),
}


@pytest.fixture(scope="module")
def server():
    import servers
    try:
        running = servers.Postgres("15")
    except servers.Missing as missing:
        pytest.skip(str(missing))
    running.ask("create role ann login")
    yield running
    running.stop()


def work(server, watcher, count=5):
    """Some statements, and whether the daemon counts them."""
    before = counted(watcher)
    with contextlib.closing(server.connect("ann")) as connection:
        for _ in range(count):
            connection.query("select count(*) from pg_class")
    wait_for(lambda: counted(watcher) >= before + count, what="the statements are counted", process=watcher.process)


def counted(watcher):
    return sum(user["statements"] for user in watcher.status()["report"]["users"] if user["user"] == "ann")


@pytest.fixture(scope="module")
def good(server):
    """The state of a daemon that worked and stopped."""
    import servers
    watcher = servers.Daemon(server, "--web.listen-address", "none")
    work(server, watcher)
    kept = watcher.folder.path + "-good"
    assert watcher.ask("quota", "limit", "ann", "--connections", "5", "--for", "1h", check=False) is not None
    watcher.owns_folder = False
    watcher.stop()
    shutil.move(watcher.state, kept)
    shutil.rmtree(watcher.folder.path, ignore_errors=True)
    yield kept
    shutil.rmtree(kept, ignore_errors=True)


def start(daemon, server, state, *options):
    return daemon(server, "--state", state, "--web.listen-address", "none", *options)


@pytest.mark.parametrize("file", FILES)
def test_one_damaged_file_is_set_aside(file, server, good, daemon, tmp_path, seed, long):
    choose = random.Random(seed)
    kinds = DAMAGE if long else {kind: DAMAGE[kind] for kind in choose.sample(sorted(DAMAGE), 2)}
    for kind, damage in kinds.items():
        for number in range(10 if long and kind in ("truncated", "garbled") else 1):
            state = str(tmp_path / f"{kind}-{number}")
            shutil.copytree(good, state)
            path = os.path.join(state, file)
            if not os.path.exists(path):
                open(path, "wb").close()
            damage(path, choose)
            watcher = start(daemon, server, state)
            work(server, watcher)
            aside = glob.glob(glob.escape(path) + ".damaged-*")
            problems = watcher.status()["daemon"]["state_problems"]
            assert bool(aside) == any(problem.startswith(file) for problem in problems), (kind, aside, problems, os.listdir(state))
            # Appending to whatever is in the audit is right; the others hold nothing of use any more.
            if kind in ("rubbish", "folder", "fifo", "loop", "dangling") and not (file == "audit.jsonl" and kind == "rubbish"):
                assert aside, (kind, os.listdir(state), watcher.log.since())
            if aside:
                assert file in watcher.log.since()
            assert watcher.stop() == 0
            # What was made instead is good.
            again = start(daemon, server, state)
            assert not [one for one in again.status()["daemon"]["state_problems"] if "damaged" in one]
            assert again.stop() == 0


def test_all_files_damaged_at_once(server, good, daemon, tmp_path, seed):
    choose = random.Random(seed)
    for kind, damage in DAMAGE.items():
        state = str(tmp_path / kind)
        shutil.copytree(good, state)
        for file in FILES:
            if os.path.exists(os.path.join(state, file)):
                damage(os.path.join(state, file), choose)
        watcher = start(daemon, server, state)
        work(server, watcher)
        assert watcher.stop() == 0


def test_state_that_goes_away_and_files_overwritten_while_it_runs(server, daemon, tmp_path, seed):
    choose = random.Random(seed)
    state = str(tmp_path / "state")
    port = free_port()
    watcher = daemon(server, "--state", state, "--web.listen-address", f"127.0.0.1:{port}")
    work(server, watcher)
    for path in glob.glob(state + "/*.sqlite*"):
        with open(path, "r+b") as file:
            file.write(choose.randbytes(3000))
    work(server, watcher)
    shutil.rmtree(state)
    work(server, watcher)
    wait_for(lambda: os.path.exists(state + "/ledger.sqlite"), what="the ledger is made again", process=watcher.process)
    watcher.wait(lambda status: any("ledger.sqlite" in one for one in status["daemon"]["state_problems"]), what="what was lost with the ledger is told")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        metrics = answer.read().decode()
    assert "pgweir_state_problems" in metrics and "pgweir_state_problems 0" not in metrics
    assert watcher.stop() == 0


@contextlib.contextmanager
def small_disk(path, options="size=4m"):
    os.makedirs(path, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], capture_output=True, check=False).returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=False)


def fill(path):
    with contextlib.suppress(OSError), open(path + "/fill", "wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "used"])
@pytest.mark.parametrize("what,when", [("full", "before"), ("full", "during"), ("read-only", "before")])
def test_a_disk_that_takes_nothing(what, when, filled, server, good, daemon, tmp_path):
    with small_disk(str(tmp_path / "disk"), "size=8m") as disk:
        state = disk + "/state"
        if filled:
            shutil.copytree(good, state)
        else:
            os.mkdir(state)

        def spoil():
            if what == "full":
                fill(disk)
            else:
                subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        if when == "before":
            spoil()
        watcher = start(daemon, server, state)
        work(server, watcher)
        if when == "during":
            spoil()
            work(server, watcher)
        else:
            assert watcher.status()["daemon"]["state_problems"]
        assert watcher.stop() == 0


def test_a_fifo_or_device_in_the_configuration_is_refused_at_once(pgweir, tmp_path):
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    large = tmp_path / "large"
    large.write_bytes(b"7" * (65 * 1024))
    for source in (fifo, "/dev/zero", str(tmp_path), str(large)):
        config = tmp_path / "config.yaml"
        config.write_text("quota:\n  key: ${file:%s}\n" % source)
        done = subprocess.run([pgweir, "config", "check", str(config)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0 and len(done.stdout + done.stderr) < 4096, done
        assert "regular file" in done.stderr + done.stdout or "larger than" in done.stderr + done.stdout or "directory" in done.stderr, done


def test_a_redis_key_of_a_wrong_type_stops_nothing(server, redis, daemon, tmp_path):
    store = redis()
    config = tmp_path / "config.yaml"
    (tmp_path / "key").write_text("7f3a" * 8)
    config.write_text("quota:\n  key_file: key\n  tiers:\n    free: {hourly: 20k, mode: monitor}\n")
    watcher = daemon(server, "--redis", store.url, "--config", str(config), "--no-claims", "--web.listen-address", "none")
    work(server, watcher)

    def keys():
        return [key for key in store.ask("KEYS", "pgweir:*").split("\n") if key]
    wait_for(lambda: any(":use:" in key for key in keys()), what="usage is booked")
    for key in keys():
        store.ask("DEL", key)
        store.ask("RPUSH", key, "x")
    work(server, watcher)
    wait_for(lambda: any(":use:" in key and store.ask("TYPE", key) == "hash" for key in keys()), what="registers are written again")
    wait_for(lambda: not watcher.status()["quotas"]["problems"], what="the ledger is in step", process=watcher.process)
    assert watcher.stop() == 0
