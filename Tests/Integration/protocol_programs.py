# SPDX-License-Identifier: Apache-2.0
"""Random programs of PostgreSQL's protocol, a client that runs them, and what the answers say of each statement.

A program is a list of steps for one session: messages that are sent together, or a wait for all answers, cancelling or not. The client keeps what it
sent in a queue and reads the answers against it, so it knows of every statement whether it was completed, failed, or was skipped.
"""
import collections
import re
import select
import socket
import struct

from servers.wire import message, text

NAMES = ["s0", "s1", "s2", "S 3"]
PORTALS = ["p0", "p1"]
ALIASES = 24
# A pattern that the answers do not tell.
ANY = "*"


class Statement:
    """A statement's text, its pattern, and what it does to names: ("prepare", name, inner), ("execute", name), …"""

    def __init__(self, sql, pattern, effect=None, parameters=0, copies=None):
        self.sql, self.pattern, self.effect, self.parameters, self.copies = sql, pattern, effect, parameters, copies
        self.is_utility = sql.split(" ")[0] not in ("select", "insert", "update", "delete", "with", "selec")


def quoted(name):
    return name if re.fullmatch("[a-z][a-z0-9]*", name) else f'"{name}"'


class Generator:
    def __init__(self, random, version=15):
        self.random, self.version = random, version

    def chance(self, share):
        return self.random.random() < share

    def select(self, parameters=False):
        alias, one = f"a{self.random.randrange(ALIASES)}", self.random.randrange(100)
        if parameters and self.chance(0.5):
            return Statement(f"select $1::int + {one} as {alias}", f"select $1::int + ? as {alias}", parameters=1)
        kind = self.random.randrange(4)
        if kind == 0:
            return Statement(f"select generate_series(1, {one % 7}) as {alias}", f"select generate_series(?, ?) as {alias}")
        if kind == 1:
            return Statement(f"select id as {alias} from t where id < {one % 9}", f"select id as {alias} from t where id < ?")
        return Statement(f"select {one} as {alias}", f"select ? as {alias}")

    def write(self):
        one, alias = self.random.randrange(1000), f"a{self.random.randrange(ALIASES)}"
        return self.random.choice([
            Statement(f"insert into w values ({one})", "insert into w values (?)"),
            Statement(f"insert into w values ({one}) returning id as {alias}", f"insert into w values (?) returning id as {alias}"),
            Statement(f"update t set note = 'x' where id = {one % 9}", "update t set note = ? where id = ?"),
            Statement(f"delete from w where id = {one}", "delete from w where id = ?"),
            Statement(f"with n as (insert into w values ({one}) returning id) select id as {alias} from n",
                      f"with n as (insert into w values (?) returning id) select id as {alias} from n")])

    def faulty(self):
        alias = f"a{self.random.randrange(ALIASES)}"
        return self.random.choice([
            Statement(f"selec {self.random.randrange(9)} {alias}", f"selec ? {alias}"),
            Statement(f"select nothing as {alias}", f"select nothing as {alias}"),
            Statement(f"select 1 / 0 as {alias}", f"select ? / ? as {alias}"),
            Statement(f"select 1 / (id - 3) as {alias} from t", f"select ? / (id - ?) as {alias} from t"),
            Statement(f"select raise('42601') as {alias}", f"select raise(?) as {alias}"),
            Statement(f"select raise('P0001') as {alias}", f"select raise(?) as {alias}"),
            Statement(f"select to_tsquery('a b') as {alias}", f"select to_tsquery(?) as {alias}"),
            Statement("insert into d values (1)", "insert into d values (?)")])

    def transaction(self):
        return self.random.choice([Statement(sql, sql) for sql in
                                   ("begin", "begin", "commit", "rollback", "savepoint x", "rollback to savepoint x", "release savepoint x")])

    def names(self):
        name = self.random.choice(NAMES)
        kind = self.random.randrange(8)
        if kind < 3:
            inner = self.select() if self.chance(0.8) else self.write()
            return Statement(f"prepare {quoted(name)} as {inner.sql}", f"prepare {quoted(name)} as {inner.pattern}", ("prepare", name, inner))
        if kind < 6:
            return Statement(f"execute {quoted(name)}", None, ("execute", name))
        if kind == 6:
            return Statement(f"deallocate {quoted(name)}", f"deallocate {quoted(name)}", ("deallocate", name))
        return self.random.choice([Statement("deallocate all", "deallocate all", ("forget",)), Statement("discard all", "discard all", ("forget",))])

    def other(self):
        return self.random.choice([
            Statement("set search_path to public", "set search_path = ?"), Statement("reset all", "reset all"),
            Statement("declare c cursor for select id from t", "declare c cursor for select id from t"),
            Statement("fetch 2 from c", "fetch ? from c"), Statement("close c", "close c"), Statement("show work_mem", "show work_mem"),
            Statement("do $$ begin raise notice 'n'; end $$", "do ?")])

    def statement(self, extended=False):
        kind = self.random.random()
        if kind < 0.4:
            return self.select(extended)
        if kind < 0.55:
            return self.write()
        if kind < 0.63:
            return self.faulty()
        if kind < 0.77:
            return self.transaction()
        if kind < 0.93:
            return self.names()
        return self.other()

    def program(self):
        """Steps: lists of messages (kind, bytes, details), "wait", or "end"."""
        steps = []
        for _ in range(self.random.randint(2, 9)):
            if self.chance(0.06):
                steps += [self.slow(), "cancel"]
                continue
            steps.append(self.batch())
            if self.chance(0.45):
                steps.append("wait")
        if self.chance(0.08):
            # No Sync: what runs is not answered before the end of the session.
            steps += ["wait", [item for _ in range(3) for item in self.unit(self.select(), "", "")], "end"]
        else:
            steps += [[sync()], "wait", "end"]
        return steps

    def batch(self):
        kind = self.random.random()
        if kind < 0.35:
            return [simple([self.statement() for _ in range(1 if self.chance(0.6) else self.random.randint(0, 4))])]
        if kind < 0.40:
            return self.copy()
        if kind < 0.43:
            return [("F", message(b"F", struct.pack("!ihhh", 1610 if self.chance(0.8) else 1, 0, 0, 0)), None)]
        items = []
        for _ in range(self.random.randint(1, 5)):
            items += self.piece()
        if self.chance(0.9):
            items.append(sync())
        return items

    def slow(self):
        """Something that does not end by itself for long, perhaps with more before and behind it."""
        sleep = Statement(f"select pg_sleep(60) as a{self.random.randrange(ALIASES)}", None)
        sleep.pattern = sleep.sql.replace("60", "?")
        if self.chance(0.5):
            around = [[self.select() for _ in range(self.random.randrange(2))] for _ in range(2)]
            return [simple([*around[0], sleep, *around[1]])]
        # By names of its own: bound or executed once more, it would not be cancelled.
        items = [("C", message(b"C", b"S" + text("slow")), ("S", "slow")), *self.unit(sleep, "slow", "slow")]
        items = [*self.unit(self.select(), "", ""), *items] if self.chance(0.4) else items
        items = [*items, *self.unit(self.select(), "", "")] if self.chance(0.4) else items
        return [*items, sync()]

    def unit(self, statement, name, portal, rows=0):
        return [parse(name, statement), bind(portal, name, statement.parameters), execute(portal, rows)]

    def piece(self):
        """Some messages of the extended protocol, mostly ones that make sense."""
        name = self.random.choice(NAMES) if self.chance(0.4) else ""
        portal = self.random.choice(PORTALS) if self.chance(0.25) else ""
        rows = self.random.randint(1, 3) if self.chance(0.2) else 0
        kind = self.random.random()
        statement = self.statement(True)
        if name and statement.is_utility:
            # SQL's EXECUTE of a DEALLOCATE ALL or the like ends the server.
            name = "utility"
        if kind < 0.5:
            items = self.unit(statement, name, portal, rows)
            if self.chance(0.4):
                items.insert(2, describe("P", portal))
            if self.chance(0.2):
                items.insert(1, describe("S", name))
            return items
        if kind < 0.62:
            return [parse(name, statement)]
        if kind < 0.74:
            known = name if self.chance(0.8) else "utility"
            return [bind(portal, known, self.random.randrange(2)), execute(portal, rows)]
        if kind < 0.82:
            return [execute(portal, rows)]
        if kind < 0.88:
            return [("C", message(b"C", b"S" + text(name)), ("S", name)) if self.chance(0.5) else ("C", message(b"C", b"P" + text(portal)), ("P", portal))]
        if kind < 0.92:
            return [describe("S", name) if self.chance(0.5) else describe("P", portal)]
        if kind < 0.95:
            return [("H", message(b"H"), None)]
        if kind < 0.97:
            return [parse("", Statement("", None)), bind("", "", 0), execute("", 0)]
        return [sync()]

    def copy(self):
        into = self.chance(0.6)
        statement = Statement("copy w from stdin", "copy w from stdin", copies="in") if into else \
            Statement("copy (select id from t) to stdout", "copy (select id from t) to stdout", copies="out")
        is_simple = self.chance(0.5)
        items = [simple([statement])] if is_simple else \
            [("C", message(b"C", b"S" + text("copied")), ("S", "copied")), *self.unit(statement, "copied", "")]
        # By a name of its own: bound once more, it would wait for data that does not come.
        if into:
            items += [("d", message(b"d", b"%d\n" % self.random.randrange(999)), None) for _ in range(self.random.randrange(3))]
            if not is_simple and self.chance(0.3):
                items.insert(self.random.randint(4, len(items)), sync())
            items.append(("c", message(b"c"), None) if self.chance(0.7) else ("f", message(b"f", text("no")), None))
        if not is_simple:
            items.append(sync())
        # Were it skipped, the data would be too.
        return ["wait", *items, "wait"]


def simple(statements):
    return ("Q", message(b"Q", text("; ".join(one.sql for one in statements))), statements)


def parse(name, statement):
    return ("P", message(b"P", text(name) + text(statement.sql) + struct.pack("!h", 0)), (name, statement))


def bind(portal, name, parameters):
    values = b"".join(struct.pack("!i", 1) + b"1" for _ in range(parameters))
    return ("B", message(b"B", text(portal) + text(name) + struct.pack("!hh", 0, parameters) + values + struct.pack("!h", 0)), (portal, name))


def describe(what, name):
    return ("D", message(b"D", what.encode() + text(name)), (what, name))


def execute(portal, rows):
    return ("E", message(b"E", text(portal) + struct.pack("!i", rows)), (portal, rows))


def sync():
    return ("S", message(b"S"), None)


class Ended(Exception):
    """The server ended the session by an error."""


class Portal:
    def __init__(self, statement):
        self.statement, self.runs, self.rows, self.is_open = statement, 0, 0, False


class Session:
    """Runs a program and says what became of its statements: `ended` holds (protocol, outcome, pattern, code, rows)."""

    def __init__(self, address, port, user):
        self.socket = socket.create_connection((address, port))
        self.port, self.user = self.socket.getsockname()[1], user
        self.buffer = b""
        self.pending = collections.deque()
        self.ended = []
        self.names, self.portals = {}, {}
        self.skips = self.copies = self.failed = False
        self.groups = 0
        self.is_done = 0
        self.refused = self.last = None
        self.is_late = False
        self.unanswered = self.data = 0
        self.refusals = collections.Counter()
        # As the server's log counts: Query messages done, portals begun, errors by SQLSTATE.
        self.counts = collections.Counter()
        body = struct.pack("!i", 196608) + text("user") + text(user) + text("database") + text("postgres") + b"\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.key = b""
        while (answer := self.next_answer())[0] != b"Z":
            self.key = answer[1] if answer[0] == b"K" else self.key
        self.socket.setblocking(False)

    # Answers

    def next_answer(self, wait=True):
        while True:
            if len(self.buffer) >= 5:
                length = struct.unpack_from("!i", self.buffer, 1)[0] + 1
                if len(self.buffer) >= length:
                    found, self.buffer = (self.buffer[:1], self.buffer[5:length]), self.buffer[length:]
                    return found
            if not wait and not select.select([self.socket], [], [], 0)[0]:
                return None
            select.select([self.socket], [], [], 20)
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection")
            self.buffer += data

    def send(self, items):
        self.socket.setblocking(True)
        self.socket.sendall(b"".join(item[1] for item in items))
        self.socket.setblocking(False)
        for kind, _, details in self.grouped(items):
            self.pending.append((kind, details))
        while answer := self.next_answer(wait=False):
            self.take(*answer)

    def grouped(self, items):
        """Numbers what belongs together: Parse, Bind and Execute of one statement that were sent one behind the other."""
        for kind, data, details in items:
            if kind in "PBE":
                last = self.last
                joins = last is not None and (
                    kind == "B" and last[0] == "P" and last[1] == details[1] or kind == "E" and last[0] == "B" and last[1] == details[0])
                if not joins:
                    self.groups += 1
                self.last = (kind, details[0])
                details = (self.groups, *details)
            elif kind == "D" and self.last and self.last[0] == {"S": "P", "P": "B"}[details[0]] and self.last[1] == details[1]:
                pass
            elif kind not in "Hdcf":
                self.last = None
            elif kind == "H":
                pass
            yield kind, data, details

    def settle(self):
        """Drops from the queue's front what the server answers nothing to."""
        while self.pending:
            kind, details = self.pending[0]
            if self.skips and kind != "S":
                if kind == "E" and details[0] != self.refused:
                    self.end("extended", "skipped", None, None, 0)
                elif kind in "QF":
                    self.end("simple", "skipped", None, None, 0)
                self.pending.popleft()
            elif kind in "Hdcf":
                self.pending.popleft()
            else:
                return

    def is_answered(self):
        self.settle()
        return not self.pending

    def wait(self):
        if not self.is_answered():
            # Without Sync the server keeps what it has to say.
            self.send([("H", message(b"H"), None)])
        while not self.is_answered():
            self.take(*self.next_answer())

    def cancel(self):
        """Asks the server to cancel what runs, again and again until all is answered: a request that comes too early is for nothing."""
        self.socket.setblocking(True)
        address = self.socket.getpeername()
        self.socket.setblocking(False)
        while not self.is_answered():
            with socket.create_connection(address) as other:
                other.sendall(struct.pack("!ii", 8 + len(self.key), 80877102) + self.key)
                # The server closes it when the signal is sent.
                other.recv(1)
            if select.select([self.socket], [], [], 0.05)[0]:
                while not self.is_answered() and (answer := self.next_answer(wait=False)):
                    self.take(*answer)

    def end(self, protocol, outcome, pattern, code, rows):
        self.ended.append((protocol, outcome, pattern, code, rows))

    def take(self, kind, body):
        if kind in b"NAS":
            return None
        self.data = self.data + 1 if kind in b"D" else self.data if kind in b"CIs" else 0
        self.settle()
        if not self.pending:
            raise AssertionError(f"an answer {kind} without a request")
        asked, details = self.pending[0]
        if kind == b"E":
            self.take_error(asked, details, re.search(rb"\0C(.{5})\0", b"\0" + body).group(1).decode())
            if b"\0VFATAL\0" in body:
                raise Ended
            return None
        if asked == "Q":
            return self.take_simple(kind, body, details)
        if asked == "F":
            if kind == b"V":
                self.end("function_call", "completed", None, None, 0)
            elif kind == b"Z":
                self.ready(body)
            return None
        if kind == b"Z":
            assert asked == "S", (asked, kind)
            return self.ready(body)
        if kind in b"1":
            self.names[details[1]] = details[2]
        elif kind in b"2":
            self.bound(details)
        elif kind in b"3":
            self.names.pop(details[1], None) if details[0] == "S" else self.close(details[1])
        elif kind == b"G":
            return self.copy_in()
        elif kind in b"CIs":
            self.executed(kind, body, details)
        elif kind not in b"Tn" or asked != "D":
            return None
        self.pending.popleft()
        return None

    def bound(self, details):
        _, portal, name = details
        self.close(portal)
        self.portals[portal] = Portal(self.names.get(name))

    def close(self, portal):
        old = self.portals.pop(portal, None)
        if old and old.is_open:
            self.end("extended", "suspended", self.pattern(old.statement), None, 0)

    def pattern(self, statement):
        if statement is None:
            return None
        if statement.effect and statement.effect[0] == "execute":
            known = self.names.get(statement.effect[1])
            return known.pattern if known and known.pattern else ANY
        return statement.pattern

    def executed(self, kind, body, details):
        _, name, _ = details
        portal = self.portals.get(name)
        if portal is None:  # a cursor
            portal = self.portals[name] = Portal(None)
        if kind == b"I":
            return
        # The log calls it a fetch only once rows have come.
        self.counts["portals"] += portal.rows == 0
        portal.rows += self.data
        if kind == b"s":
            portal.is_open = True
            portal.runs += 1
            return
        if portal.runs == 0 or portal.is_open:
            outcome = "continued" if portal.is_open else "completed"
            self.end("extended", outcome, self.pattern(portal.statement), None, rows_of(body))
        portal.runs += 1
        portal.is_open = False
        self.apply(portal.statement, body)

    def apply(self, statement, tag):
        if statement is None:
            return
        if statement.pattern in ("commit", "rollback") or tag in (b"COMMIT\0",) or statement.sql == "discard all":
            for name in list(self.portals):
                self.close(name)
        if statement.effect is None:
            return
        what, *rest = statement.effect
        if what == "prepare":
            self.names[rest[0]] = rest[1]
        elif what == "deallocate":
            self.names.pop(rest[0], None)
        elif what == "forget":
            self.names = {name: known for name, known in self.names.items() if not name and statement.sql == "deallocate all"}

    def take_simple(self, kind, body, statements):
        if kind == b"C":
            if self.is_done == 0:
                self.names.pop("", None)
            self.close("")
            statement = statements[self.is_done]
            self.end("simple", "completed", self.pattern(statement), None, rows_of(body))
            self.apply(statement, body)
            self.is_done += 1
        elif kind == b"I":
            self.names.pop("", None)
        elif kind == b"G":
            self.copy_in()
        elif kind == b"Z":
            self.counts["simple"] += not self.failed
            self.ready(body)

    def copy_in(self):
        """The server ignores Flush and Sync up to the end of the data."""
        front, behind = self.pending.popleft(), list(self.pending)
        self.pending.clear()
        self.pending.append(front)
        while behind and behind.pop(0)[0] not in "cf":
            pass
        self.pending.extend(behind)

    def take_error(self, asked, details, code):
        self.counts[code] += 1
        # Meant for what ran before: what it meets is a matter of chance, and so is what the server says of that.
        self.is_late = self.is_late or code == "57014" and asked not in "QE"
        if asked == "Q":
            if not self.failed:
                self.names.pop("", None) if self.is_done == 0 else None
                left = details[self.is_done:]
                # Cancelled when all had run: the server may have logged the whole before.
                self.is_late = self.is_late or code == "57014" and not left
                # A text that does not parse holds no statement at all.
                is_unparsed = code == "42601" and self.is_done == 0 and any(one.sql.startswith("selec ") for one in left)
                if left and not is_unparsed:
                    self.end("simple", "failed", self.pattern(left[0]), code, 0)
                for _ in left[0 if is_unparsed else 1:]:
                    self.end("simple", "skipped", None, None, 0)
                self.failed = True
            return
        if asked == "F":
            self.end("function_call", "failed", None, code, 0)
            return
        if asked == "S":
            return
        self.skips, self.refused = True, None
        if asked == "P":
            self.refused = details[0]
            self.end("extended", "failed", self.pattern(details[2]), code, 0)
        elif asked == "B":
            self.refused = details[0]
            statement = self.names.get(details[2])
            self.end("extended", "failed", self.pattern(statement), code, 0)
        elif asked == "E":
            portal = self.portals.get(details[1])
            if portal is None or portal.runs == 0:
                self.end("extended", "failed", self.pattern(portal.statement) if portal else None, code, 0)
            elif portal.is_open:
                portal.is_open = False
                self.end("extended", "broken", self.pattern(portal.statement), code, 0)
            else:
                # Of a portal that is done, or was replaced by a Query that failed: nothing runs either way.
                self.refusals[code] += 1
        elif asked != "C":
            # Nothing runs for a Close, which fails only where a cancel meets it.
            self.end("extended", "failed", ANY, code, 0)
        self.portals.pop("", None) if not (self.portals.get("") and self.portals[""].is_open) else self.close("")
        self.pending.popleft()

    def ready(self, body):
        self.pending.popleft()
        self.skips = self.failed = False
        self.is_done = 0
        if body == b"I":
            for name in list(self.portals):
                self.close(name)

    def run(self, steps):
        try:
            self.play(steps)
            self.socket.setblocking(True)
            self.socket.sendall(message(b"X"))
            self.socket.shutdown(socket.SHUT_WR)
            while True:
                self.take(*self.next_answer())
        except Ended:
            self.pending.clear()
        except ConnectionError:
            self.settle()
        self.socket.close()
        for name in list(self.portals):
            self.close(name)
        self.unanswered = sum(1 for kind, _ in self.pending if kind in "QEF")

    def play(self, steps):
        for step in steps:
            items = [step] if isinstance(step, str) else step
            batch = []
            for item in items:
                if isinstance(item, str):
                    if batch:
                        self.send(batch)
                        batch = []
                    if item == "wait":
                        self.wait()
                    elif item == "cancel":
                        self.cancel()
                else:
                    batch.append(item)
            if batch:
                self.send(batch)


def rows_of(body):
    words = body.rstrip(b"\0").split()
    return int(words[-1]) if words and words[-1].isdigit() and words[0] != b"MOVE" else 0
