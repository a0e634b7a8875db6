# SPDX-License-Identifier: Apache-2.0
"""What real clients ask, and how much of it gets the planner's price."""
import collections
import os
import re
import subprocess

from planner_traps import lab
from servers import cache, process

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = ("django", "sqlalchemy", "pgbench")
# Of each client's statements, distinct texts: so many may be refused, and so many of those not refused are priced.
MOST_REFUSED = 0.02
LEAST_PRICED = 0.995
ENTRY = re.compile(r"\n(?=\d{4}-\d\d-\d\d )")
SAID = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)", re.S)
PLANNABLE = re.compile(r"\s*\(*\s*(select|insert|update|delete|merge|values|with|table)\b", re.I)
# An answer that begins with an SQLSTATE is the server's; others are refusals of ours.
SERVERS_WORD = re.compile(r"[0-9A-Z]{5} ")


def environment(server):
    return {**os.environ, **server.environment("app", "shop")}


def run_client(server, client):
    if client == "pgbench":
        for arguments in (["-i", "-q"], ["-i", "-q", "--partitions=4", "--foreign-keys"]):
            process.run([os.path.join(server.bin, "pgbench"), *arguments], env=environment(server))
        for mode in ("simple", "extended", "prepared"):
            for script in ("tpcb-like", "simple-update", "select-only"):
                process.run([os.path.join(server.bin, "pgbench"), "-n", "-M", mode, "-b", script, "-t", "20"], env=environment(server))
        return
    packages = {"django": ["django>=5,<6", "psycopg[binary]>=3.1"], "sqlalchemy": ["sqlalchemy[asyncio]>=2,<3", "psycopg[binary]>=3.1", "asyncpg"]}[client]
    python = cache.python_packages(client, *packages)
    done = subprocess.run([python, "-W", "ignore", os.path.join(HERE, f"{client}_traffic.py")], env=environment(server), capture_output=True, text=True,
                          check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{client}: {done.stderr[-1500:]}")


def traffic(server, client):
    """Statements that a client sent, with how often, from the server's log."""
    mark = server.log.mark()
    run_client(server, client)
    counts = collections.Counter()
    for entry in ENTRY.split(server.log.since(mark)):
        found = SAID.search(entry)
        if found and "app@shop" in entry and "DETAIL:" not in entry.split("LOG:")[0]:
            counts[found[1].rstrip("\n").replace("\n\t", "\n")] += 1
    return counts


def accepted(server, statements):
    """Those that the server takes by Parse, as the role that asks for prices: tables may be gone by now, and types of parameters are not in the log."""
    session = server.connect(lab.EXPLAINER, "shop")
    reasons = collections.Counter()
    taken = []
    for sql in statements:
        error = session.refusal(sql)
        if error is None:
            taken.append(sql)
        else:
            reasons[error.state] += 1
    session.close()
    return taken, reasons


class Coverage:
    def __init__(self, client, counts, taken, not_taken, answers):
        self.client, self.not_taken = client, not_taken
        self.reasons, self.examples = collections.Counter(), {}
        self.total, self.priced, self.refused, self.sent, self.sent_refused = len(taken), 0, 0, 0, 0
        for sql, answer in zip(taken, answers):
            self.sent += counts[sql]
            if answer and answer["method"] == "generic":
                self.priced += 1
                continue
            reason = (answer.get("failure") or answer["method"]) if answer else "the process ended"
            if answer and not SERVERS_WORD.match(reason):
                self.refused += 1
                self.sent_refused += counts[sql]
            self.reasons[reason] += 1
            self.examples.setdefault(reason, sql)

    @property
    def refused_share(self):
        return self.refused / max(1, self.total)

    @property
    def priced_share(self):
        return self.priced / max(1, self.total - self.refused)

    def table(self):
        lines = [f"{self.client}: {self.total} distinct plannable statements ({self.sent} sent), {self.priced} priced; refused {self.refused} "
                 f"({self.refused_share:.2%}; {self.sent_refused / max(1, self.sent):.2%} of what was sent); of the others {self.priced_share:.2%} priced; "
                 f"the server itself does not take {dict(self.not_taken)}"]
        for reason, count in self.reasons.most_common(40):
            lines.append(f"  {count:4} {reason[:110]}: {' '.join(self.examples[reason].split())[:150]}")
        return "\n".join(lines)


def measure(server, client, program):
    counts = traffic(server, client)
    statements = sorted(sql for sql in counts if PLANNABLE.match(sql))
    server.ask("grant usage on schema public to pgweir_explain; grant select, insert, update, delete on all tables in schema public to pgweir_explain", "shop")
    taken, not_taken = accepted(server, statements)
    asker = lab.Asker(program, server.conninfo(lab.EXPLAINER, "shop"), "--explain-primary")
    answers = [asker.price(sql, '"$user", public') for sql in taken]
    asker.close()
    return Coverage(client, counts, taken, not_taken, answers)


