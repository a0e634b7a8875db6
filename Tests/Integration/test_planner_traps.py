# SPDX-License-Identifier: Apache-2.0
"""No tenant's code runs while statements are priced: thousands of statements, each of which would make a planner run some.

Ordinary runs take a slice on PostgreSQL 15 and another version; PGWEIR_LONG=1 takes thousands on 14 to 18, primary and standby.
"""
import collections
import os

import pytest
import servers
import test_planner_races as races
from planner_traps import lab, probes
from planner_traps.statements import Statement, generate
from servers import Postgres
from servers.options import LONG, SEED
from servers.postgres import VERSIONS

OTHERS = [version for version in VERSIONS if version != "15"]
TRAPPED = list(VERSIONS) if LONG else ["15", OTHERS[SEED % len(OTHERS)]]
# Of each form; there are some 115.
COUNT = int(os.environ.get("PGWEIR_TRAPS") or (40 if LONG else 2))
# What no planner runs by itself: they are asked all the same.
NEVER_LIVE = {"utility", "ts_stat", "built_in_effects", "json_constructor", "json_scalar"}


class Lab:
    """A primary with all traps in it, its standby, and the statements that the tenant may send there."""

    def __init__(self, version, is_tried=True):
        print(f"PGWEIR_SEED={SEED}")
        self.primary = Postgres(version, settings=lab.SETTINGS)
        self.missing = lab.trap(self.primary)
        self.standby = None
        if not is_tried:
            return
        made = generate(int(version), SEED, COUNT)
        self.forms = {statement.form for statement in made}
        self.valid, self.live, self.refused = lab.naive(self.primary, made)
        self.count = len(made)

    def server(self, kind):
        if kind == "primary":
            return self.primary
        if self.standby is None:
            self.standby = self.primary.standby(lab.SETTINGS)
        self.standby.caught_up()
        return self.standby

    def asker(self, program, kind, environment=None):
        options = ["--explain-primary"] if kind == "primary" else []
        return lab.Asker(program, self.server(kind).conninfo(lab.EXPLAINER, "shop"), *options, environment=environment)

    def judge(self):
        return lab.Judge(*([self.primary, self.standby] if self.standby else [self.primary]))


@pytest.fixture(scope="module", params=TRAPPED)
def trapped(request):
    try:
        made = Lab(request.param)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    yield made
    made.primary.stop()


def test_the_traps_are_live(trapped):
    """Each form trips where the tenant's statement is just explained, and nearly every statement is one that the server takes."""
    assert not trapped.missing
    by_form = collections.Counter(statement.form for statements in trapped.live.values() for statement in statements)
    print(f"PostgreSQL {trapped.primary.version}: {trapped.count} statements, {len(trapped.valid)} valid, {by_form.total()} trip when explained")
    for name in sorted(trapped.forms):
        print(f"  {name}: {by_form[name]} live, {len(trapped.refused.get(name, []))} refused")
    dead = {name for name in trapped.forms if not by_form[name]} - NEVER_LIVE
    # Since 16 a stored column's expression is looked at when the statement runs.
    dead -= {"generated"} if int(trapped.primary.version) >= 16 else set()
    if COUNT >= 40:
        assert not dead
    # A slice of two statements a form may miss the positions where a form lives.
    assert len(dead) < 0.25 * len(trapped.forms), dead
    assert len(trapped.valid) > 0.9 * trapped.count
    assert by_form.total() > 0.5 * len(trapped.valid)


def test_harmless_statements_are_priced_beside_them(trapped, pgweir):
    """A check that refuses everything would pass all other tests; a tenant's names in its own schemas are nothing to others."""
    asker = trapped.asker(pgweir, "primary")
    refused = {}
    for sql in lab.CONTROLS:
        answer = asker.price(sql, "m, public")
        if not answer or answer["method"] != "generic":
            refused[sql] = answer and answer.get("failure")
    asker.close()
    assert not refused


@pytest.mark.parametrize("kind", ["primary", "standby"])
def test_no_statement_of_a_tenant_runs_its_code(trapped, kind, pgweir):
    if kind == "standby" and not LONG and trapped.primary.version == "15":
        pytest.skip("a slice asks the standby of the other version")
    if kind == "primary" and not LONG and trapped.primary.version != "15":
        pytest.skip("a slice asks the primary of 15")
    asker = trapped.asker(pgweir, kind)
    judge = trapped.judge()
    methods, trips, unanswered = collections.Counter(), {}, []
    for statement in trapped.valid:
        answer = asker.price(statement.text, statement.path)
        if answer is None:
            unanswered.append(statement.text)
        methods[answer["method"] if answer else "ended"] += 1
        for tag, query in judge.trips().items():
            trips.setdefault(tag, []).append((statement.text, answer, query))
    traces = judge.traces()
    asker.close()
    print(f"PostgreSQL {trapped.primary.version} {kind}: {len(trapped.valid)} asked, {dict(methods)}; "
          f"{sum(map(len, trips.values()))} trips of {len(trips)} forms")
    for tag, found in sorted(trips.items()):
        text, answer, query = found[0]
        print(f"  {tag}: {len(found)}, such as {text[:300]!r} -> {answer and answer.get('failure', answer['method'])}; the server was at {query!r}")
    assert not trips, sorted(trips)
    assert not traces
    assert not unanswered, f"{len(unanswered)} statements end the process, such as {unanswered[0]!r}"


def debug_build(program):
    """A debug build, which alone can do without a check."""
    for place in (os.environ.get("PGWEIR_DEBUG"), os.path.join(servers.daemon.CHECKOUT, ".build/debug/pgweir"), program):
        if place and os.path.exists(place):
            return place
    return program


@pytest.fixture(scope="module")
def telling():
    """A server that logs each text that it is given to parse, before it looks at it."""
    made = Lab("15", is_tried=False)
    made.primary.ask("alter system set log_min_messages = 'debug2'")
    made.primary.ask("select pg_reload_conf()")
    yield made
    made.primary.stop()


def ask_all(made, program, statements, environment=None, enough=None):
    """Trips and forbidden texts over statements; ends early when `enough` of them are found."""
    asker = made.asker(program, "primary", environment)
    judge = lab.Judge(made.primary)
    trips, reached = set(), []
    for statement in statements:
        asker.price(statement.text, statement.path)
        text = judge.read()
        trips |= set(judge.tripped(text))
        if statement.form not in lab.UNRESOLVED:
            reached += [(statement.form, found) for found in judge.forbidden(text)]
        if enough and (len(trips) + len(reached)) >= enough:
            break
    asker.close()
    return trips, reached


def test_nothing_forbidden_reaches_the_server(telling, pgweir):
    """Prevention, not luck: the text of a trap is not even parsed by the server."""
    if lab.checks(debug_build(pgweir)) is None:
        pytest.skip("pending: this build has no allow-list of named checks")
    statements = generate(15, SEED, COUNT, plain=True)
    trips, reached = ask_all(telling, pgweir, statements)
    print(f"PGWEIR_SEED={SEED}: {len(statements)} asked, {len(reached)} reached the server")
    assert not trips
    assert not reached, (len(reached), collections.Counter(form for form, _ in reached).most_common(10), reached[0])


def probes_of(name):
    made = [probe if isinstance(probe, tuple) else (probe, probes.PATH) for probe in probes.PROBES[name]]
    return [Statement(name, "probe", sql, sql, path) for sql, path in made]


def test_each_check_is_needed(telling, pgweir):
    """With any one check switched off a trap trips, or a forbidden text reaches the server: no check is there for show."""
    program = debug_build(pgweir)
    names = lab.checks(program)
    if names is None:
        pytest.skip("pending: this build has no allow-list of named checks")
    print(f"PGWEIR_SEED={SEED}")
    # A check that is added needs probes of its own.
    assert set(names) == {*probes.PROBES, "recheck"}
    statements = generate(15, SEED, 12, plain=True) if LONG else []
    idle, always = [], set()
    for name in names:
        if name == "recheck":
            # What it is for: definitions that change between the first look and the plan.
            trips, reached = races.trips_without(program, name), []
        else:
            tried = probes_of(name)
            trips, reached = ask_all(telling, program, tried)
            always |= {text for _, text in reached} | trips
            trips, reached = ask_all(telling, program, tried + statements, {"PGWEIR_EXPLAIN_WITHOUT": name}, enough=None if LONG else 1)
        print(f"  without {name}: {sorted(trips)} trip, {len(reached)} reach the server, such as {[text[:100] for _, text in reached[:2]]}")
        if not trips and not reached:
            idle.append(name)
    assert not always, always
    assert not idle, idle
