# SPDX-License-Identifier: Apache-2.0
"""No tenant's code runs while statements are priced: thousands of statements, each of which would make a planner run some.

Ordinary runs take a slice on PostgreSQL 15 and another version; PGWEIR_LONG=1 takes thousands on 14 to 18, primary and standby.
"""
import collections
import os

import pytest
import servers
from planner_traps import lab
from planner_traps.statements import generate
from servers import Postgres
from servers.options import LONG, SEED
from servers.postgres import VERSIONS

OTHERS = [version for version in VERSIONS if version != "15"]
TRAPPED = list(VERSIONS) if LONG else ["15", OTHERS[SEED % len(OTHERS)]]
# Of each form; there are some 115.
COUNT = int(os.environ.get("PGWEIR_TRAPS") or (40 if LONG else 2))
# What no planner runs by itself: they are asked all the same.
NEVER_LIVE = {"utility", "ts_stat"}


class Lab:
    """A primary with all traps in it, its standby, and the statements that the tenant may send there."""

    def __init__(self, version):
        print(f"PGWEIR_SEED={SEED}")
        self.primary = Postgres(version, settings=lab.SETTINGS)
        self.missing = lab.trap(self.primary)
        made = generate(int(version), SEED, COUNT)
        self.forms = {statement.form for statement in made}
        self.valid, self.live, self.refused = lab.naive(self.primary, made)
        self.count = len(made)
        self.standby = None

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
    if LONG:
        assert not dead
    # A slice of two statements a form may miss the positions where a form lives.
    assert len(dead) < 0.4 * len(trapped.forms), dead
    assert len(trapped.valid) > 0.9 * trapped.count
    assert by_form.total() > 0.5 * len(trapped.valid)


@pytest.mark.parametrize("kind", ["primary", "standby"])
def test_no_statement_of_a_tenant_runs_its_code(trapped, kind, pgweir):
    if kind == "standby" and not LONG and trapped.primary.version == "15":
        pytest.skip("a slice asks the standby of the other version")
    if kind == "primary" and not LONG and trapped.primary.version != "15":
        pytest.skip("a slice asks the primary of 15")
    asker = trapped.asker(pgweir, kind)
    judge = trapped.judge()
    methods, trips, unanswered = collections.Counter(), {}, []
    for sql in lab.CONTROLS:
        answer = asker.price(sql, "m, public")
        assert answer and answer["method"] == "generic", (sql, answer)
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
