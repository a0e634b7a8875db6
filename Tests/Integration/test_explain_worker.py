# SPDX-License-Identifier: Apache-2.0
"""Foreign text is parsed in a child process: no text ends it, and when it is ended the daemon lives on and goes on pricing."""
import gzip
import json
import os
import random
import signal
import subprocess

import pytest
from servers import wait_for
from servers.options import LONG, SEED

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "../../../shared/normalizer/open.jsonl.gz")


class Grammar:
    """Statements made by rules, of which many are wrong for a server and all are text for a parser."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, *choices):
        return self.random.choice(choices)

    def some(self, make, most=3):
        return ", ".join(make() for _ in range(self.random.randint(1, most)))

    def name(self):
        return self.one("a", "b", "users", "U", '"q"', '"a""b"', 'U&"\\0061"', "t.a", "s.t", "date", "ä")

    def value(self):
        return self.one("1", "-1", "2.5", "1e3", "'x'", "''", "E'\\''", "$$d$$", "null", "true", "$1", "b'1'", "date '2020-01-01'", "now()",
                        "interval '1' day", "array[]::int[]", "U&'\\0061'", "current_timestamp(3)", "row()", "'{1}'::int[]", "0x1F", "1_000", "default")

    def expression(self, depth=3):
        if depth == 0:
            return self.one(self.name(), self.value())
        inner = lambda: self.expression(depth - 1)
        return self.random.choice([
            inner, lambda: f"({inner()})", lambda: f"{inner()} {self.one('+', '=', '<@', 'and', 'or', '||', 'is distinct from', 'like')} {inner()}",
            lambda: f"{self.one('lower', 'count', 'f', 'extract')}({self.some(inner)})", lambda: f"cast({inner()} as {self.one('int', 'text[]', 'numeric(3, 2)')})",
            lambda: f"case when {inner()} then {inner()} else {inner()} end", lambda: f"{inner()} in ({self.some(inner)})", lambda: f"({self.select(depth - 1)})",
            lambda: f"row({self.some(inner)})", lambda: f"array[{self.some(inner)}]", lambda: f"extract(year from {inner()})", lambda: f"- {inner()}",
            lambda: f"{inner()}::{self.one('int', 'date', 'mood')}", lambda: f"({inner()}).{self.one('a', 'b')}", lambda: f"{inner()} between {inner()} and {inner()}",
        ])()

    def select(self, depth=2):
        tail = self.one("", f" where {self.expression(depth)}", f" group by 1, {self.expression(depth)}", f" order by 1, {self.expression(depth)}",
                        f" limit {self.expression(depth)}", " limit 5 offset 2", " for update", f" union select {self.expression(depth)}")
        head = self.one("", "", f"with a as ({self.value_list()}) ", "with recursive a(b) as (select 1 union select b from a) ")
        return f"{head}select {self.some(lambda: self.expression(depth))} from {self.name()}{tail}"

    def value_list(self):
        return f"values ({self.some(self.value)})"

    def assignment(self):
        expression = lambda: self.expression(2)
        return self.random.choice([
            lambda: f"a = {expression()}", lambda: f"(a, b) = ({expression()}, {expression()})", lambda: f"(a, b) = row({expression()}, {expression()})",
            lambda: f"(a, b) = ({self.select(1)})", lambda: f"a[1] = {expression()}", lambda: f"(a.b, c[2]) = ({expression()}, default)",
        ])()

    def statement(self):
        assign = lambda: self.some(self.assignment)
        return self.random.choice([
            self.select, lambda: f"update {self.name()} set {assign()} where {self.expression()}", lambda: f"update {self.name()} set {assign()} from {self.name()}",
            lambda: f"insert into {self.name()} {self.value_list()} on conflict (a) do update set {assign()} where {self.expression(1)}",
            lambda: f"insert into {self.name()} {self.select()} returning {self.expression(1)}", lambda: f"delete from {self.name()} using b where {self.expression()}",
            lambda: f"merge into t using s on {self.expression(1)} when matched then update set {assign()} when not matched then insert {self.value_list()}",
            lambda: f"declare c cursor for {self.select()}", lambda: f"explain analyze {self.select()}", lambda: f"copy ({self.select()}) to stdout",
            lambda: f"create table x as {self.select()}", lambda: f"prepare p as {self.select()}",
        ])()


def corpus():
    if not os.path.exists(CORPUS):
        return []
    with gzip.open(CORPUS, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["sql"] for line in lines]


def damaged(texts, count):
    """Texts cut and joined anywhere."""
    chance = random.Random(SEED)
    for _ in range(count if texts else 0):
        one, other = chance.choice(texts), chance.choice(texts)
        yield one[:chance.randrange(len(one) + 1)] + other[chance.randrange(len(other) + 1):]


def test_no_text_ends_the_parser(postgres, pgweir):
    print(f"PGWEIR_SEED={SEED}")
    server = postgres("15")
    server.ask("create role pgweir_explain login")
    texts = corpus()
    grammar = Grammar(SEED)
    count = 20_000 if LONG else 400
    chosen = texts if LONG else random.Random(SEED).sample(texts, min(400, len(texts)))
    statements = chosen + list(damaged(texts, count)) + [grammar.statement() for _ in range(count)]
    lines = "".join(json.dumps({"sql": sql}) + "\n" for sql in statements if sql)
    done = subprocess.run([pgweir, "cost", "explain", "--explain", server.conninfo("pgweir_explain"), "--explain-primary", "--input", "ndjson",
                           "--format", "ndjson"], input=lines.encode("utf-8", "surrogatepass"), capture_output=True, check=False)
    prices = [json.loads(line) for line in done.stdout.splitlines()]
    ended = [sql for sql, price in zip([sql for sql in statements if sql], prices) if "the parser ended" in price.get("failure", "")]
    print(f"{len(prices)} statements, {sum(price['method'] != 'failed' for price in prices)} with a price")
    assert done.returncode in (0, 1), (done.returncode, done.stderr[-500:])
    assert len(prices) == len([sql for sql in statements if sql])
    assert not ended, (len(ended), ended[0])


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", "explain-worker"], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.skipif(os.getuid() != 0, reason="taps need root")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_daemon_outlives_its_parser(signal_number, postgres, daemon):
    server = postgres("15")
    server.ask("create database shop")
    server.ask("create role pgweir_explain login; create table t(a int); grant select on t to pgweir_explain", "shop")
    watcher = daemon(server, "--explain", server.conninfo("pgweir_explain", "shop"), "--explain-primary")
    client = server.connect("admin", "shop")
    asked = 0

    def priced():
        nonlocal asked
        asked += 1
        before = watcher.pricing("priced")
        client.ask(f"select a as n{asked} from t where a = 5")
        return wait_for(lambda: watcher.pricing("priced") > before, 60, "a price")

    priced()
    for _ in range(10 if LONG else 2):
        # One that did not answer is started anew when it is needed.
        for victim in wait_for(lambda: children(watcher.process.pid) or priced() and [], 120, "the parser's process"):
            os.kill(victim, signal_number)
        # The one that is asked meanwhile has no price; the next have.
        asked += 1
        client.ask(f"select a as n{asked} from t where a = 6")
        priced()
        watcher.assert_alive()
    assert watcher.pricing("parser_failures") >= 1
    client.close()
    watcher.stop()
