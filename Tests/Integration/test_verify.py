# SPDX-License-Identifier: Apache-2.0
"""`pgweir verify` and the running gauge: what a real pg_stat_statements counts against what the tap saw, with reasons."""
import json
import re
import struct
import subprocess
import threading
import time
import urllib.request

import pytest
from servers import free_port, process, wait_for
from servers.wire import Connection, message, parse, text

VERSIONS = ("15", "18")
SETTINGS = {"shared_preload_libraries": "pg_stat_statements"}


def prepared(postgres, version, settings=None, **more):
    server = postgres(version, settings={**SETTINGS, **(settings or {})}, **more)
    server.ask("create extension pg_stat_statements")
    server.ask("create role ann login; create role ben login; create role watcher login in role pg_monitor; "
               "create table t(a int); grant all on t to public; grant all on schema public to public")
    return server


class Verify:
    """A verification that runs while `traffic` does, from before its first statement to after its last."""

    def __init__(self, watcher, server, *options, seconds=6, conninfo=None):
        self.watcher, self.seconds = watcher, seconds
        conninfo = conninfo or server.conninfo("watcher", sslmode="disable", gssencmode="disable")
        self.command = [watcher.program, "verify", "--activity", conninfo, "--for", f"{seconds}s", "--socket", watcher.socket, "--format", "json", *options]
        # What the test itself asks while it waits is not counted.
        self.session = server.connect("admin", by_socket=True, **{"pg_stat_statements.track": "none"})

    def during(self, traffic):
        """The answer and the exit code; `traffic` begins once the server was asked for the first time."""
        first = self.asked()
        running = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # The first reading is over once the daemon was asked after it.
        wait_for(lambda: self.asked() > first, what="the first reading")
        time.sleep(1.2)
        traffic()
        out, err = running.communicate(timeout=120)
        return (json.loads(out) if out else err), running.returncode

    def asked(self):
        # A wait for the process alone would not tell when it has asked.
        asked = "select coalesce(sum(calls), 0) from pg_stat_statements where query like '%pgweir verify%stats_reset%'"
        return int(self.session.ask(asked)[0][0])


def line(answer, user):
    found = [one for one in answer["users"] if one["user"] == user]
    return found[0] if found else None


def kinds(one):
    return {reason["kind"] for reason in one["reasons"]}


def mixed(session, rounds=20):
    """Statements of many kinds by both protocols; failed ones and prepared ones among them."""
    for number in range(rounds):
        session.ask("begin; insert into t values (1); select 1; commit")
        session.extended("select $1::int + a from t limit 3", (23,), ("1",))
        session.query("select 1/0")
        session.query("select nonsense")
        session.ask("prepare p as select $1::int; execute p(1); execute p(2); deallocate p")
        session.ask("begin; declare c cursor for select * from t; fetch 2 from c; close c; commit")
        session.query("copy t to stdout")
        session.ask("; -- nothing")
        session.ask(f"set application_name = 'a{number}'; show application_name")
        session.ask("explain analyze select 1; do $$ begin perform 1; end $$")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_by_tcp_is_all_seen(version, postgres, daemon):
    server = prepared(postgres, version)
    watcher = daemon(server)

    def traffic():
        # One that begins in the span and ends in it, and one that goes on.
        for user in ("ann", "ben"):
            session = server.connect(user)
            mixed(session)
            session.close()
    answer, code = Verify(watcher, server).during(traffic)
    for user in ("ann", "ben"):
        one = line(answer, user)
        for part in ("queries", "utilities"):
            assert one[part]["counted"] > 50 and one[part]["share"] == 1, one
            assert one[part]["seen_low"] <= one[part]["counted"] <= one[part]["seen_high"], one
            # Nothing was under way: the interval is a number.
            assert one[part]["seen_low"] == one[part]["seen_high"], one
        assert one["explained"], one
    assert code == 0 and answer["explained"], answer


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_by_unix_socket_is_named(version, postgres, daemon):
    server = prepared(postgres, version)
    watcher = daemon(server)
    held = server.connect("ben", by_socket=True)

    def traffic():
        mixed(held)
        with_tap = server.connect("ann")
        mixed(with_tap)
        with_tap.close()
        # Too short to be seen in pg_stat_activity; the database's count of sessions tells.
        for _ in range(10):
            session = server.connect("ann", by_socket=True)
            session.ask("select 1")
            session.close()
    answer, code = Verify(watcher, server).during(traffic)
    ben, ann = line(answer, "ben"), line(answer, "ann")
    assert ben["queries"]["seen"] == 0 and ben["queries"]["share"] == 0 and "unix_socket" in kinds(ben), ben
    assert ann["queries"]["counted"] - ann["queries"]["seen"] == 10 and kinds(ann) & {"unseen_sessions", "unix_socket"}, ann
    assert code == 0 and answer["total"]["share"] < 1, answer
    held.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tap_of_another_port_is_blind_and_says_so(version, postgres, daemon):
    """The tap looks at a port where nothing is: all sessions come on a way that it does not see."""
    server = prepared(postgres, version)
    watcher = daemon(free_port())
    session = server.connect("ann")
    answer, code = Verify(watcher, server).during(lambda: mixed(session))
    one = line(answer, "ann")
    assert one["queries"]["share"] == 0 and "other_interface" in kinds(one), one
    assert "explained" in answer and code == 0
    shown = subprocess.run([*Verify(watcher, server, seconds=1).command[:-2], "--no-color"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and "PostgreSQL " + version in shown.stdout, shown
    session.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_statements_in_functions_are_told_and_not_missed(version, postgres, daemon):
    server = prepared(postgres, version, {"pg_stat_statements.track": "all"})
    # Foreign keys are checked, and counted, as the owner of the table.
    server.ask("create table p(a int primary key); create table f(a int references p deferrable initially deferred); "
               "insert into p values (1); "
               "create function twice() returns int language plpgsql as $$ declare r int; begin "
               "select count(*) into r from t; perform count(*) from p; return r; end $$", user="ann")
    watcher = daemon(server)
    session = server.connect("ann")

    def traffic():
        for _ in range(10):
            session.ask("select twice()")
            session.ask("begin; insert into f values (1); commit")
    answer, code = Verify(watcher, server).during(traffic)
    one = line(answer, "ann")
    assert one["queries"]["share"] == 1 and one["queries"]["counted"] == 20, one
    counts = {reason["kind"]: reason["count"] for reason in one["reasons"]}
    assert counts["nested"] >= 20 and counts.get("foreign_key", 0) + counts["nested"] >= 30, one
    assert code == 0 and one["explained"], one
    session.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_tls_is_named(version, postgres, daemon, certificate):
    server = prepared(postgres, version, certificate().settings)
    watcher = daemon(server)

    def traffic():
        script = "".join(f"select {number};\n" for number in range(50)) + "select pg_sleep(1.5);\n"
        server.tool("psql", "-X", "-q", server.conninfo("ann", sslmode="require", sslcert="/none/crt", sslrootcert="/none/ca"), input=script)
    answer, code = Verify(watcher, server).during(traffic)
    found = line(answer, "ann")
    assert found["queries"]["counted"] == 51 and found["queries"]["seen"] == 0 and "tls" in kinds(found), found
    assert code == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_another_address_of_the_server_is_named(version, postgres, daemon):
    """The tap sees one of two addresses that the server listens on."""
    server = prepared(postgres, version, {"listen_addresses": "127.0.0.1,127.0.0.2"}, hba=("host all all 127.0.0.0/8 trust",))
    watcher = daemon(None, "-i", "lo", "-f", f"tcp port {server.port} and host 127.0.0.1 and not host 127.0.0.2", "-p", str(server.port))
    seen, hidden = server.connect("ann"), Connection("127.0.0.2", server.port, "ben")

    def traffic():
        mixed(seen)
        mixed(hidden)
    answer, code = Verify(watcher, server).during(traffic)
    ann, ben = line(answer, "ann"), line(answer, "ben")
    assert ann["queries"]["share"] == 1, ann
    assert ben["queries"]["share"] == 0 and "other_interface" in kinds(ben), ben
    assert code == 0


def test_two_servers_of_the_same_users_are_told_apart(postgres, daemon):
    """A monitor host taps a primary and another server, where the same user does something else."""
    first, second = prepared(postgres, "15"), prepared(postgres, "15")
    watcher = daemon(None, "-i", "lo", "-p", f"{first.port},{second.port}")
    one, other = first.connect("ann"), second.connect("ann")

    def traffic():
        mixed(one, 10)
        mixed(other, 30)
    for server, rounds in ((first, 10), (second, 30)):
        answer, code = Verify(watcher, server).during(traffic)
        found = line(answer, "ann")
        assert found["queries"]["share"] == 1 and found["queries"]["seen_high"] == found["queries"]["counted"], found
        assert code == 0, rounds


def execute(statement, portal=""):
    """Bind and Execute of a prepared statement without parameters, and no Describe."""
    return message(b"B", text(portal) + text(statement) + struct.pack("!hhh", 0, 0, 0)) + message(b"E", text(portal) + struct.pack("!i", 0))


def run(session, *messages):
    session.send(*messages, message(b"S"))
    return session.until_ready()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("end", ["rollback", "commit", "error"])
def test_a_query_counts_when_its_portal_ends(version, end, postgres, daemon):
    """Portals whose queries finished are open at both ends of the span: the server counts them when they end, or never."""
    server = prepared(postgres, version)
    watcher = daemon(server)
    session = server.connect("ann")

    def hold(count):
        run(session, parse("select 1", name="s"))
        session.ask("begin")
        for number in range(count):
            rows, errors = run(session, execute("s", f"portal {number}"))
            assert rows == [["1"]] and not errors
        run(session, message(b"C", b"S" + text("s")))
    hold(5)

    def traffic():
        if end == "error":
            assert session.query("select 1/0")[1]
        session.ask("rollback" if end == "error" else end)
        for _ in range(3):
            session.ask("select 2")
        hold(9)
    answer, code = Verify(watcher, server).during(traffic)
    one = line(answer, "ann")["queries"]
    # Three, and with a COMMIT the five of before; of the nine none yet.
    assert one["counted"] == (8 if end == "commit" else 3), one
    assert one["seen_low"] == one["seen_high"] == one["counted"], one
    assert code == 0
    session.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_prepared_before_the_tap_is_told_by_its_answers(version, postgres, daemon):
    server = prepared(postgres, version)
    session = server.connect("ann")
    texts = {
        "insert": "insert into t values (1)", "update": "update t set a = a", "rows": "select a from t limit 2", "none": "select a from t where a < 0",
        "begin": "begin", "commit": "commit", "savepoint": "savepoint a", "rollback to": "rollback to a", "set": "set application_name = 'x'", "show": "show application_name", "as": "create temp table b as select generate_series(1, 5)",
        "drop": "drop table b", "with": "with gone as (delete from t where a = 7 returning a) select count(*) from gone",
    }
    for name, sql in texts.items():
        run(session, parse(sql, name=name))
    session.ask("prepare p as select 5")
    watcher = daemon(server, "--activity", server.conninfo("watcher", sslmode="disable", gssencmode="disable"))
    session.ask("select 1")
    watcher.wait(lambda status: "ann" in [one["user"] for one in status["report"]["users"]], what="the session is attributed")
    session.ask("select 1")

    def traffic():
        for _ in range(10):
            for name in ("begin", "insert", "savepoint", "update", "rollback to", "rows", "with", "commit", "set", "show", "as", "drop", "none"):
                _, errors = run(session, execute(name))
                assert not errors, (name, errors)
            session.ask("execute p")
    answer, code = Verify(watcher, server).during(traffic)
    one = line(answer, "ann")
    # Of a prepared utility statement the server counts the first run.
    assert one["queries"]["counted"] == 60 and 8 <= one["utilities"]["counted"] < 16, one
    assert "prepared_utility" in kinds(one), one
    # An empty answer may have been CREATE TABLE AS.
    assert (one["queries"]["seen_low"], one["queries"]["seen_high"]) == (50, 60), one
    assert (one["utilities"]["seen_low"], one["utilities"]["seen_high"]) == (80, 90), one
    assert code == 0 and one["explained"], one
    session.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_in_proxy_mode_what_passes_the_relay_is_seen(version, postgres, daemon, relay):
    server = prepared(postgres, version)
    front = relay(server.port)
    watcher = daemon(None, "--mode", "proxy", "--relay", front.control, "--no-quotas", "--allow-second")
    through = Connection("127.0.0.1", front.port, "ann")

    def traffic():
        mixed(through)
        direct = server.connect("ben")
        mixed(direct)
        direct.close()
    answer, code = Verify(watcher, server).during(traffic)
    ann, ben = line(answer, "ann"), line(answer, "ben")
    for part in ("queries", "utilities"):
        assert ann[part]["counted"] > 50 and ann[part]["seen_low"] == ann[part]["seen_high"] == ann[part]["counted"], ann
        assert ben[part]["counted"] > 50 and ben[part]["share"] == 0, ben
    # The server sees the relay's addresses: which way another session took is not told by them.
    assert ann["explained"] and code in (0, 1), answer
    through.close()


def test_what_has_no_reason_ends_with_1(postgres, daemon):
    """SET ROLE moves calls within a database; a tolerance is a tolerance; what nothing accounts for is told."""
    server = prepared(postgres, "15")
    server.ask("grant ben to ann")
    watcher = daemon(server)

    def moved():
        session = server.connect("ann")
        session.ask("set role ben")
        for _ in range(30):
            session.ask("select 1")
        session.close()
    answer, code = Verify(watcher, server).during(moved)
    assert code == 0 and "set_role" in kinds(line(answer, "ann")) and line(answer, "ben")["queries"]["seen"] == 0, answer

    def ruled():
        # PostgreSQL's own difference: a rule that runs nothing, twenty times.
        session = server.connect("ben")
        session.ask("create table n(a int); create rule r as on insert to n do instead nothing")
        for _ in range(20):
            session.ask("insert into n values (1)")
        session.close()
    answer, code = Verify(watcher, server).during(ruled)
    assert code == 1 and not line(answer, "ben")["explained"], answer


def test_errors_say_what_to_do(postgres, daemon):
    server = postgres("15", settings=SETTINGS)
    server.ask("create role ann login")
    watcher = daemon(server)

    def ask(*options, socket=watcher.socket):
        return process.run([watcher.program, "verify", "--for", "1s", "--socket", socket, *options], check=False)
    answer = ask("--activity", server.conninfo())
    assert answer.returncode == 69 and "CREATE EXTENSION pg_stat_statements" in answer.stderr, answer
    server.ask("create extension pg_stat_statements")
    answer = ask("--activity", server.conninfo("ann"))
    assert answer.returncode == 69 and "GRANT pg_monitor TO" in answer.stderr, answer
    answer = ask("--activity", server.conninfo(), socket="/nonexistent/socket")
    assert answer.returncode == 69 and "no daemon answers" in answer.stderr, answer
    answer = ask("--activity", f"host=127.0.0.1 port={free_port()} user=x dbname=y password=geheim")
    assert answer.returncode == 69 and "geheim" not in answer.stderr, answer
    for wrong in ((), ("--activity", server.conninfo(), "--for", "0s"), ("--activity", server.conninfo(), "--tolerance", "-1")):
        assert ask(*wrong).returncode == 64, wrong
    without = postgres("15")
    without.ask("create extension pg_stat_statements")
    answer = ask("--activity", without.conninfo())
    assert answer.returncode == 69 and "shared_preload_libraries" in answer.stderr, answer


@pytest.mark.parametrize("version", VERSIONS)
def test_the_gauge_runs_in_the_daemon(version, postgres, daemon):
    server = prepared(postgres, version)
    port = free_port()
    watcher = daemon(server, "--activity", server.conninfo("watcher", sslmode="disable", gssencmode="disable"), "--verify-interval", "2",
                     "--web.listen-address", f"127.0.0.1:{port}")
    over, session, hidden = threading.Event(), server.connect("ann"), server.connect("ben", by_socket=True)

    def run(which):
        while not over.is_set():
            which.ask("select 1; select 2")
            time.sleep(0.02)
    seen = threading.Thread(target=run, args=(session,))
    seen.start()
    try:
        ratio = lambda status: status["verify"][0]["seen_ratio"]  # noqa: E731
        watcher.wait(lambda status: ratio(status) is not None and ratio(status) > 0.999 and status["verify"][0]["counted"] > 20,
                     what="all is seen")
        other = threading.Thread(target=run, args=(hidden,))
        other.start()
        watcher.wait(lambda status: ratio(status) is not None and ratio(status) < 0.8 and status["verify"][0]["reasons"],
                     what="half is not")
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode()
    finally:
        over.set()
        seen.join()
    other.join()
    one = watcher.status()["verify"][0]
    assert one["problem"] is None and one["total_counted"] >= one["total_seen"] > 20
    assert re.search(r'pgweir_verify_seen_ratio\{server="1"\} 0\.\d', metrics), metrics
    assert re.search(r'pgweir_verify_reasons\{server="1",reason="unix_socket"\} 1', metrics), metrics
    assert 'pgweir_verify_up{server="1"} 1' in metrics and 'pgweir_verify_statements_total{server="1",by="tap"}' in metrics
    assert "of what the server counted was seen" in page and "unix socket" in page
    assert "verify.blind" in watcher.log.since() or "pgweir verify" in watcher.log.since()
    for name in ("ann", "ben"):
        assert f"{name}@" not in metrics


def test_a_server_that_counts_nothing_is_said_once(postgres, daemon):
    server = postgres("15")
    watcher = daemon(server, "--activity", server.conninfo(), "--verify-interval", "1")
    watcher.wait(lambda status: status["verify"][0]["problem"], what="the problem is told")
    assert "CREATE EXTENSION" in watcher.status()["verify"][0]["problem"]
    quiet = daemon(server, "--activity", server.conninfo(), "--verify-interval", "0", "--allow-second")
    assert "verify" not in quiet.status()
