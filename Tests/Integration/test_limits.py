# SPDX-License-Identifier: Apache-2.0
"""Limits harm no bystander, hold only while somebody would lift them, and end: at each PgBouncer that can be had, and at a
scripted console that behaves as the others were measured."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from limiting import SMALL, Load, Site, limited
from servers import Certificate, process, wait_for
from servers.options import LONG
from servers.pgbouncer import VERSIONS, built_versions

# The operator's own: a line of a user, which limits must neither raise nor drop.
OWN = "[users]\nann = pool_mode=transaction max_user_connections=12\nben = max_user_connections=15\n"
SCRIPTED = [("1.21.0", "prefer"), ("1.22.1", "prefer"), ("1.23.1", "prefer"), ("1.23.1", "disable"), ("1.25.0", "prefer"),
            ("1.25.2", "prefer")]
CYCLES = 20 if LONG else 1


def make_pooler(pgbouncer, server, version, tls="disable", sections=OWN, **more):
    settings = {"server_tls_sslmode": tls, "server_lifetime": 1800, "query_wait_timeout": 60, **more}
    return pgbouncer(version, server, settings=settings, sections=sections, includes=["limits.ini"],
                     users=("ann", "ben", "cat", "dan", "watcher"))


def own_values(pooler):
    """What PgBouncer says of users and its settings, without what changes by itself."""
    users = sorted([row[0], *row[1:5]] for row in pooler.console("show users") if row[0] in ("ann", "ben", "cat"))
    config = sorted(row[:2] for row in pooler.console("show config") if row[0] in ("server_lifetime", "max_user_connections", "default_pool_size"))
    if pooler.version in ("1.18", "1.21.0", "1.22.1"):
        users = [row[:1] for row in users]
    else:
        # The columns of connections change, and pool_size is not told rightly by all versions.
        names = [name.strip() for name in header(pooler)]
        users = [[row[0], dict(zip(names, row)).get("max_user_connections")] for row in
                 sorted(pooler.console("show users")) if row[0] in ("ann", "ben", "cat")]
    return users, config


def header(pooler):
    done = process.run(["psql", "-X", "-q", "-A", "-F", "\t", "-h", pooler.folder.path, "-p", str(pooler.port), "-U", "watcher", "-d",
                        "pgbouncer", "-c", "show users"])
    return done.stdout.splitlines()[0].split("\t")


def reloads(pooler):
    with open(pooler.log.path, encoding="utf-8", errors="replace") as file:
        return len(re.findall(r"RELOAD command issued|got SIGHUP", file.read()))


# 1.18 is the one of Debian's at which each load replaces all connections where TLS is asked for, also in vain (`prefer`);
# with `require` the server has TLS.
PAIRS = [(version, tls) for version in (*VERSIONS, *built_versions()) for tls in ("disable", "prefer", "require")
         if LONG or tls == "disable" or version not in VERSIONS or (version, tls) in (("1.18", "prefer"), ("1.24", "require"))]


@pytest.mark.parametrize("version, tls", PAIRS)
def test_bystanders_notice_nothing(postgres, pgbouncer, daemon, pgweir, version, tls):
    """One user is limited, drained and released again and again under load of three others."""
    certificate = Certificate()
    server = postgres("15", settings={"max_connections": 200, **(certificate.settings if tls == "require" else {})})
    server.ask("create role ann login; create role ben login; create role cat login; create role dan login")
    pooler = make_pooler(pgbouncer, server, version, tls)
    before = own_values(pooler)
    bystanders = [Load(pooler, user, 3) for user in ("ben", "cat", "dan")]
    heavy = Load(pooler, "ann", 20)
    try:
        with Site(daemon, pgweir, pooler) as site:
            wait_for(lambda: all(len(load.rates()) >= 2 for load in bystanders), what="load")
            count = reloads(pooler)
            times = []
            for cycle in range(CYCLES):
                wait_for(lambda: int(server.ask("select count(*) from pg_stat_activity where usename = 'ann'")) > 6, what="ann's pool")
                began = time.monotonic()
                site.limit("ann", 2 if cycle % 2 == 0 else 1)
                wait_for(lambda: int(server.ask("select count(*) from pg_stat_activity where usename = 'ann'")) <= 2, 20,
                         "at most two connections at the server")
                times.append(time.monotonic() - began)
                site.release("ann")
                wait_for(lambda: site.standing("ann")["state"] in (None, "released"), what="the release is confirmed")
            print(f"PgBouncer {version}, server_tls_sslmode={tls}: {CYCLES} cycles, limit to effect {min(times):.1f} to {max(times):.1f} s, "
                  f"{reloads(pooler) - count} loads")
            for load in bystanders:
                assert load.is_running() and not load.errors(), (load.user, load.errors()[:5])
                # The last second may be cut.
                assert all(rate > 0 for rate in load.rates()), (load.user, load.rates())
            assert heavy.is_running() and not heavy.errors(), heavy.errors()[:5]
            assert reloads(pooler) - count == 2 * CYCLES, "one load a change, and none else"
            assert not limited(site.limits)
        wait_for(lambda: own_values(pooler) == before, what=f"the operator's values: {before}, now {own_values(pooler)}")
    finally:
        for load in [heavy, *bystanders]:
            load.stop()
        certificate.folder.remove()


@pytest.mark.parametrize("version, tls", SCRIPTED)
def test_no_load_meets_a_login(scripted, daemon, pgweir, version, tls):
    pooler = scripted(version, tls)
    pooler.settle()
    with Site(daemon, pgweir, pooler) as site:
        for cycle in range(CYCLES):
            site.limit("ann", 3)
            # The next change comes while connections are being opened.
            site.limit("ann", 1)
            wait_for(lambda: len(pooler.connections["ann"]) <= 1, what="ann's connections")
            site.release("ann")
            wait_for(lambda: site.standing("ann")["state"] in (None, "released"), what="the release is confirmed")
        assert pooler.is_alive and not pooler.crashes and not pooler.errors, (pooler.crashes, pooler.errors)
        assert len(pooler.reloads) == 3 * CYCLES, pooler.reloads
        assert not any(logins for _, logins in pooler.reloads)
        recycles = pooler.number < (1, 24, 0) and tls != "disable"
        shortened = [value for key, value in pooler.sets if key == "server_lifetime" and value == "5"]
        assert (not shortened) == recycles, "a drain where the load does not replace connections, and only there"
        # While a login is under way for long, nothing is loaded, and that is told.
        pooler.held.add("ben")
        site.quota("limit", "ann", "--connections", "2", "--for", "1h", "--reason", "test")
        wait_for(lambda: "opening" in site.standing("ann")["reason"], what="the wait is told")
        assert len(pooler.reloads) == 3 * CYCLES and site.standing("ann")["state"] == "pending"
        pooler.held.clear()
        site.await_state("ann", "enforced", 2)
        # The operator's line: 8 connections, and its pool mode.
        with open(pooler.limits, encoding="utf-8") as file:
            assert "; release ann = pool_mode=transaction max_user_connections=8\n" in file.read()
        # Started again, it has nothing to tell PgBouncer.
        count = len(pooler.reloads)
        site.daemon.process.kill()
        site.daemon.process.wait()
        site.daemon.start()
        site.await_state("ann", "enforced", 2)
        assert len(pooler.reloads) == count, "no load at the start: the acknowledgement matches"


def test_a_drain_ends_though_a_load_waits(scripted, daemon, pgweir):
    """A drain keeps logins under way, and a load waits for a moment without: the drain has to end first."""
    pooler = scripted("1.25.2", "prefer", demand={"ann": 8, "ben": 4})
    pooler.settle()
    with Site(daemon, pgweir, pooler) as site:
        site.quota("limit", "ann", "--connections", "4", "--for", "1h", "--reason", "test")
        wait_for(lambda: pooler.lifetime == "5", what="the drain begins")
        pooler.is_busy_once_written = True
        site.quota("limit", "ann", "--connections", "1", "--for", "1h", "--reason", "test")
        wait_for(pooler.has_unread, what="the file is written, and not loaded")
        wait_for(lambda: pooler.lifetime == "1800", 40, "the drain ends")
        assert pooler.has_unread() and not pooler.crashes
        pooler.is_busy_once_written = False
        site.await_state("ann", "enforced", 1)


def test_a_lower_limit_drains_at_once(postgres, pgbouncer, daemon, pgweir):
    """Severe soon after limited: the second drain does not wait for half a minute."""
    server = postgres("15", settings={"max_connections": 200})
    server.ask("create role ann login; create role ben login")
    pooler = make_pooler(pgbouncer, server, "1.18", sections="")
    load = Load(pooler, "ann", 20)
    try:
        with Site(daemon, pgweir, pooler) as site:
            wait_for(lambda: len(load.rates()) >= 1, what="load")
            site.limit("ann", 5)
            began = time.monotonic()
            site.limit("ann", 1)
            wait_for(lambda: int(server.ask("select count(*) from pg_stat_activity where usename = 'ann'")) <= 1, 20, "one connection")
            print(f"limited to severe: one connection after {time.monotonic() - began:.1f} s")
            # Without the second drain it lasts until half a minute after the first.
            assert time.monotonic() - began < 20
            assert load.is_running() and not load.errors()
    finally:
        load.stop()


def test_no_limit_that_nobody_would_lift(scripted, daemon, pgweir):
    pooler = scripted("1.24.1", "disable")
    with Site(daemon, pgweir, pooler, guarded=False) as site:
        site.quota("limit", "ann", "--connections", "2", "--for", "1h", "--reason", "test")
        entry = site.await_state("ann", "skipped")
        assert "pgweir guard" in entry["reason"], entry
        assert not limited(site.limits) and not pooler.reloads
        wait_for(lambda: "no guard would lift limits" in site.daemon.log.since(), what="the log tells it")
        assert "no guard would lift limits" in site.quota("list").stdout
        doctor = process.run([pgweir, "doctor", *site.backend, "--seconds", "0", "--format", "json"], check=False)
        found = {entry["name"]: entry for entry in map(json.loads, doctor.stdout.splitlines())}
        assert found["limits.guard"]["level"] == "error" and "guard" in found["limits.guard"]["remedy"]
        # With a guard it is set; a guard that can reach no PgBouncer is none.
        site.start_guard()
        site.await_state("ann", "enforced", 2)
        os.rename(pooler.pid_file, pooler.pid_file + ".away")
        wait_for(lambda: "0 of 1" in site.quota("list").stdout, what="a guard that reaches nobody is told")
        site.quota("limit", "ben", "--connections", "1", "--for", "1h", "--reason", "test")
        wait_for(lambda: "0 of 1" in site.standing("ben")["reason"], what="and why a limit is not set")
        assert "ben" not in limited(site.limits)
        os.rename(pooler.pid_file + ".away", pooler.pid_file)
        site.await_state("ben", "enforced", 1)
        # One that is killed leaves its last heartbeat, which becomes old: nothing lower is set from then on.
        site.stop_guard(signal.SIGKILL)
        wait_for(lambda: "has not looked" in site.quota("list").stdout, what="the guard is missed")
        site.quota("limit", "ben", "--connections", "3", "--for", "1h", "--reason", "test")
        site.quota("limit", "ann", "--connections", "1", "--for", "1h", "--reason", "test")
        time.sleep(1)
        assert limited(site.limits) == {"ann": 2, "ben": 1}
        if not LONG:
            return
        # In the end limits are lifted, as nobody would lift them otherwise. (A minute; `FencingTests` does it in a second.)
        wait_for(lambda: not limited(site.limits), 100, "limits without a guard are lifted")
        assert pooler.settings["ann"]["max_user_connections"] == "8"


def test_a_guard_vouches_for_each_kind_of_limit_apart(scripted, pgweir, tmp_path):
    """A server of roles that is away keeps nobody from lifting what PgBouncer has."""
    pooler = scripted("1.24.1", "disable")
    roles = tmp_path / "role-limits"
    roles.write_text("pgweir-role-limits 1 1 1\n9\tann\nend\n", encoding="utf-8")
    guard = process.start([pgweir, "guard", "--limits", pooler.limits, "--pgbouncer-pid", pooler.pid_file, "--every", "1", "--role-limit",
                           "host=127.0.0.1 port=1 user=x dbname=x", "--role-state", str(roles)], stderr=subprocess.DEVNULL)
    try:
        def said(path):
            with open(str(path) + ".guard", encoding="utf-8") as file:
                head, problem, end = file.read().split("\n")
            assert re.fullmatch(r"pgweir-guard 1 \d+ 1 1", head) and not end
            return problem
        wait_for(lambda: os.path.exists(str(roles) + ".guard"), what="the guard looked", process=guard)
        assert said(pooler.limits) == "" and "port 1" in said(roles)
        assert process.stop(guard) == 0
        assert not os.path.exists(pooler.limits + ".guard") and not os.path.exists(str(roles) + ".guard")
    finally:
        process.stop(guard)


def test_limits_end_with_a_daemon_that_is_killed(postgres, pgbouncer, daemon, pgweir):
    server = postgres("15")
    server.ask("create role ann login; create role ben login")
    for version in VERSIONS if LONG else VERSIONS[:1]:
        pooler = make_pooler(pgbouncer, server, version)
        with Site(daemon, pgweir, pooler, lease=15) as site:
            site.limit("ann", 1)
            site.daemon.process.kill()
            site.daemon.process.wait()
            began = time.monotonic()
            wait_for(lambda: not limited(site.limits), 15 + 10, "the limit ends with its lease")
            print(f"PgBouncer {version}: the limit of a killed daemon ended after {time.monotonic() - began:.1f} s of 15 + 1")
            wait_for(lambda: any(row[0] == "quota_ack" and row[3].startswith("guard_") for row in pooler.console("show databases")),
                     what="PgBouncer has the guard's file")


def test_release_all_needs_nothing_and_tells_the_truth(postgres, pgbouncer, daemon, pgweir):
    server = postgres("15")
    server.ask("create role ann login; create role ben login")
    pooler = make_pooler(pgbouncer, server, "1.24")

    def acknowledged():
        return [row[3] for row in pooler.console("show databases") if row[0] == "quota_ack"]

    with Site(daemon, pgweir, pooler) as site:
        site.limit("ann", 1)
        site.limit("ben", 2)
        loaded = acknowledged()
        done = site.quota("release-all", check=False)
        assert done.returncode == 0 and "confirmed, nobody is limited" in done.stderr, done
        assert not limited(site.limits) and acknowledged() != loaded
        # They stay away although the decisions stand, and come back when the order is taken back.
        time.sleep(1)
        assert not limited(site.limits)
        again = site.quota("release-all", check=False)
        assert again.returncode == 0 and "confirmed" in again.stderr, again
        site.quota("release-all", "--resume")
        site.await_state("ann", "enforced", 1)
        # A PgBouncer that hangs confirms nothing.
        os.kill(pooler.process.pid, signal.SIGSTOP)
        try:
            done = site.quota("release-all", check=False)
            assert done.returncode == 75 and "pgweir guard --release" in done.stderr, done
        finally:
            os.kill(pooler.process.pid, signal.SIGCONT)
        wait_for(lambda: site.quota("release-all", check=False).returncode == 0, what="it confirms once it answers")
        site.quota("release-all", "--resume")
        site.await_state("ann", "enforced", 1)
        # Nobody answers: the command lifts the limits itself, by the configuration or by options.
        site.daemon.process.kill()
        site.daemon.process.wait()
        nothing = process.run([pgweir, "quota", "release-all", "--socket", "/nonexistent"], check=False)
        assert nothing.returncode == 69 and "--limits" in nothing.stderr, nothing
        path = os.path.join(site.folder, "enforce.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"enforcement:\n  pgbouncer: ['{site.console}']\n  limits: {site.limits}\n  pgbouncer_pid: [{site.pid_file}]\n")
        done = process.run([pgweir, "quota", "release-all", "--socket", "/nonexistent", "--config", path], check=False)
        assert done.returncode == 0 and "confirmed by PgBouncer" in done.stderr, done
        assert not limited(site.limits) and acknowledged()[0].startswith("gen_")
        # Told by a signal alone, it does not say that anybody confirmed.
        done = process.run([pgweir, "quota", "release-all", "--socket", "/nonexistent", "--limits", site.limits, "--pgbouncer-pid",
                            site.pid_file], check=False)
        assert done.returncode == 75 and "--pgbouncer" in done.stderr, done


def test_a_policy_that_changes_judges_limits_that_stand(postgres, pgbouncer, daemon, pgweir):
    """Within ten seconds: by a reload, after a restart, and after one without a word, though nobody was seen since."""
    server = postgres("15")
    server.ask("create role ann login; create role ben login")
    pooler = make_pooler(pgbouncer, server, "1.18")
    strict = ("quota:\n  time_zone: UTC\n  mode: enforce\n  max_limited: 100%\n  tiers:\n    small: {hourly: 2k}\n"
              "    premium: {hourly: 1G, mode: monitor}\n  default_tier: small\n")
    lenient = strict.replace("  default_tier: small\n", "  users: {ann: premium}\n  default_tier: small\n")
    with Site(daemon, pgweir, pooler, text=strict) as site:
        def write(text):
            with open(site.config, "w", encoding="utf-8") as file:
                file.write(text)

        def spend():
            process.run(["pgbench", "-n", "-h", pooler.address, "-p", str(pooler.port), "-U", "ann", "-c", "1", "-t", "60", "-f", site.script,
                         "postgres"])
        site.script = os.path.join(site.folder, "script.sql")
        with open(site.script, "w", encoding="utf-8") as file:
            file.write("select 1;\n")

        def lets_go(how):
            began = time.monotonic()
            wait_for(lambda: "ann" not in limited(site.limits), 10, f"ann is let go {how}")
            print(f"a policy that changed let a user go {how} after {time.monotonic() - began:.1f} s")
        spend()
        site.await_state("ann", "enforced")
        write(lenient)
        site.daemon.reload()
        lets_go("by SIGHUP")
        write(strict)
        site.daemon.reload()
        wait_for(lambda: "ann" in limited(site.limits), what="limited again")
        for how, end in (("after kill -9", signal.SIGKILL), ("after a restart", signal.SIGTERM)):
            site.daemon.process.send_signal(end)
            site.daemon.process.wait()
            write(lenient)
            site.daemon.start()
            lets_go(how)
            time.sleep(1)
            assert "ann" not in limited(site.limits)
            write(strict)
            site.daemon.reload()
            spend()
            wait_for(lambda: "ann" in limited(site.limits), what="limited again")


def test_the_operators_file_is_found_or_nobody_is_limited(scripted, daemon, pgweir):
    pooler = scripted("1.24.1", "disable", users=["ann = pool_mode=transaction max_user_connections=2 pool_size=3", "ben = "])
    with Site(daemon, pgweir, pooler) as site:
        # Never above the operator's own 2, and the rest of the line stays.
        site.quota("limit", "ann", "--connections", "5", "--for", "1h", "--reason", "test")
        site.await_state("ann", "enforced", 2)
        assert pooler.settings["ann"] == {"pool_mode": "transaction", "max_user_connections": "2", "pool_size": "3"}
        site.release("ann")
        assert pooler.settings["ann"] == {"pool_mode": "transaction", "max_user_connections": "2", "pool_size": "3"}
        site.limit("ann", 1)
        # It goes away: what stands stays, nothing new is set, and that is told.
        os.rename(pooler.ini, pooler.ini + ".away")
        site.quota("limit", "ben", "--connections", "1", "--for", "1h", "--reason", "test")
        entry = site.await_state("ben", "skipped")
        assert "pgbouncer.ini" in entry["reason"], entry
        assert limited(site.limits) == {"ann": 1}
        os.rename(pooler.ini + ".away", pooler.ini)
        site.await_state("ben", "enforced", 1)
        # Releases need no file of the operator's.
        os.rename(pooler.ini, pooler.ini + ".away")
        site.release("ann")
        os.rename(pooler.ini + ".away", pooler.ini)


def test_a_file_that_was_emptied_leaves_nobody_limited(scripted, daemon, pgweir):
    """The file says no more whom PgBouncer limits; PgBouncer does, and the operator's file what is right."""
    pooler = scripted("1.24.1", "disable")
    with Site(daemon, pgweir, pooler) as site:
        site.limit("ann", 2)
        site.limit("ben", 1)
        site.stop_guard()
        site.daemon.process.kill()
        site.daemon.process.wait()
        with open(site.limits, "w", encoding="utf-8"):
            pass
        with open(os.path.join(site.daemon.state, "ledger.sqlite"), "wb"):
            pass
        for suffix in ("-wal", "-shm"):
            if os.path.exists(os.path.join(site.daemon.state, "ledger.sqlite" + suffix)):
                os.remove(os.path.join(site.daemon.state, "ledger.sqlite" + suffix))
        site.daemon.start()
        wait_for(lambda: pooler.settings["ann"]["max_user_connections"] == "8" and pooler.settings["ben"]["max_user_connections"] == "0",
                 what=f"both are let go: {pooler.settings}")


def test_a_leader_that_was_paused_limits_nobody(redis, scripted, daemon, pgweir):
    """Two nodes at one Redis, each with a PgBouncer: the first is stopped, the second decides otherwise, the first goes on."""
    store = redis()
    poolers = [scripted("1.24.1", "disable"), scripted("1.24.1", "disable")]
    key = poolers[0].folder / "key"
    with open(key, "w", encoding="utf-8") as file:
        file.write("00112233445566778899aabbccddeeff\n")
    os.chmod(key, 0o600)
    text = SMALL.replace("quota:\n", f"quota:\n  key_file: {key}\n")
    sites = [Site(daemon, pgweir, pooler, "--redis", f"redis://127.0.0.1:{store.port}", lease=60, text=text) for pooler in poolers]
    try:
        def leads(site):
            return json.loads(site.quota("list", "--format", "json").stdout)["ledger"]["decides"]

        def generation():
            done = process.run(["redis-cli", "-p", str(store.port), "get", "pgweir:1:main:text:limits"], check=False)
            found = re.match(r"pgweir-limits 1 (\d+) ", done.stdout)
            return int(found.group(1)) if found else None
        wait_for(lambda: [leads(site) for site in sites].count(True) == 1, what="one decides")
        first, second = sites if leads(sites[0]) else reversed(sites)
        first.limit("ann", 1)
        second.await_state("ann", "enforced", 1)
        os.kill(first.daemon.process.pid, signal.SIGSTOP)
        wait_for(lambda: leads(second), what="the other one decides")
        second.release("ann")
        newest = generation()
        os.kill(first.daemon.process.pid, signal.SIGCONT)
        seen = []
        end = time.monotonic() + 8
        while time.monotonic() < end:
            seen.append(generation())
            assert "ann" not in limited(second.limits)
            time.sleep(0.01)
        assert all(number is not None and number >= newest for number in seen)
        assert seen == sorted(seen), "what was published never goes back"
        wait_for(lambda: "ann" not in limited(first.limits), what="the first one carries out what the second decided")
        assert leads(second) and not leads(first)
    finally:
        for site in sites:
            site.end()
