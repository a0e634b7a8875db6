# SPDX-License-Identifier: Apache-2.0
"""No statement holds a backend of the server that is asked for prices much longer than its timeout, and none ends who asks."""
import threading
import time

import pytest
import servers
from planner_traps import heavy, lab
from servers import Postgres
from servers.options import LONG, SEED

# The timeout of a second, two more for cancelling and terminating, and what a busy machine takes to look.
LONGEST = 1 + 2 + 0.5
# A slice takes every Nth statement, from a place that the seed decides.
SLICE = 1 if LONG else 8


class Watch:
    """The longest that a backend of the explainer was busy without a break."""

    def __init__(self, *watched):
        self.longest, self.what, self.most, self.done = 0.0, "", 0, threading.Event()
        self.threads = [threading.Thread(target=self.look, args=(server.connect(by_socket=True, database="shop"),), daemon=True) for server in watched]
        for thread in self.threads:
            thread.start()

    def look(self, session):
        while not self.done.wait(0.1):
            rows = session.ask("select extract(epoch from clock_timestamp() - query_start), left(query, 100) from pg_stat_activity "
                               f"where usename = '{lab.EXPLAINER}' and state = 'active' order by 1 desc")
            self.most = max(self.most, len(rows))
            if rows and float(rows[0][0]) > self.longest:
                self.longest, self.what = float(rows[0][0]), rows[0][1]
        session.close()

    def close(self):
        self.done.set()
        for thread in self.threads:
            thread.join(30)


@pytest.fixture(scope="module", params=["15", "17"] if LONG else ["15"])
def laden(request):
    try:
        primary = Postgres(request.param, settings=lab.SETTINGS)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    lab.trap(primary)
    tenant = primary.connect(lab.TENANT, "shop")
    tenant.ask(heavy.SETUP)
    tenant.ask(f"grant select on all tables in schema m to {lab.EXPLAINER}")
    yield primary
    tenant.close()
    primary.stop()


@pytest.mark.parametrize("kind", ["primary", "standby"] if LONG else ["primary"])
def test_no_statement_holds_a_backend(laden, kind, pgweir):
    print(f"PGWEIR_SEED={SEED}")
    asked = laden
    if kind == "standby":
        asked = laden.standby(lab.SETTINGS)
        asked.caught_up()
    holder = laden.connect(lab.TENANT, "shop")
    holder.ask("begin; lock table m.held in access exclusive mode")
    asker = lab.Asker(pgweir, asked.conninfo(lab.EXPLAINER, "shop"), *(["--explain-primary"] if kind == "primary" else []))
    held, slow = {}, {}
    for what, sql in list(heavy.statements(SEED % 50).items())[SEED % SLICE::SLICE]:
        watch = Watch(asked)
        began = time.monotonic()
        answer = asker.price(sql, "m, public")
        took = time.monotonic() - began
        # Whoever gave up asking has not ended the server's work by that.
        idle = asked.connect(by_socket=True, database="shop")
        while idle.ask(f"select 1 from pg_stat_activity where usename = '{lab.EXPLAINER}' and state = 'active'") and watch.longest < 30:
            time.sleep(0.1)
        idle.close()
        watch.close()
        print(f"  {what}: {took:.2f} s, held {watch.longest:.2f} s, {answer and (answer.get('failure') or answer['method'])}")
        if watch.longest > LONGEST:
            held[what] = watch.longest
        # Connecting anew, cancelling and terminating are counted too.
        if took > LONGEST + 3:
            slow[what] = took
    ended = asker.ended
    asker.close()
    holder.close()
    assert not held, held
    assert not slow, slow
    assert not ended, [(code, text[:100]) for code, _, text in ended]
