# SPDX-License-Identifier: Apache-2.0
"""The servers that traps are laid in, whoever asks for prices there, and the judge, which reads the server's own log."""
import json
import os
import re
import subprocess
import threading

import servers
from planner_traps import probes
from planner_traps.forms import FORMS, TENANT

ROLE = os.path.join(servers.daemon.CHECKOUT, "Deploy/sql/explain-role.sql")
EXPLAINER = "pgweir_explain"
TABLES = """
create table m.t(id int primary key, a int, b text, c bool, d date, j jsonb, arr int[]);
insert into m.t select i, i % 10, 'x' || i % 10, i % 2 = 0, date '2026-01-01' + i % 30, jsonb_build_object('x1', i), array[i] from generate_series(1, 1000) i;
create table m.u(id int primary key, a int, b text, c bool);
insert into m.u select i, i % 10, 'x' || i % 10, i % 2 = 0 from generate_series(1, 500) i;
create table m.w(id int unique, a int, arr int[]);
create table m.p(id int primary key, a int, b text, c bool, j jsonb, arr int[]) partition by range (id);
create table m.p1 partition of m.p for values from (0) to (100); create table m.p2 partition of m.p for values from (100) to (1000);
insert into m.p select i, i % 10, 'x', true from generate_series(1, 500) i;
create type m.pair as (a int, b int);
-- Such an operator takes nobody's price away.
create type m.mood as enum ('sad');
create function m.same(m.mood, m.mood) returns bool immutable language plpgsql as 'begin return true; end';
create function m.same(int, m.mood) returns bool immutable language plpgsql as 'begin return true; end';
create operator m.= (leftarg = m.mood, rightarg = m.mood, function = m.same);
create operator m.= (leftarg = int, rightarg = m.mood, function = m.same);
analyze m.t; analyze m.u; analyze m.p;
create sequence m.tripped_times;
create table m.tripped_rows(tag text);
"""
# All that outlives a rollback, a read-only transaction and a standby is tried; the log is what none of it can take back.
WIRE = """
create function m.tripped(tag text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $f$
begin
    raise log 'TRIPPED % session_user=% current_user=% query=%', tag, session_user, current_user, pg_catalog.left(pg_catalog.current_query(), 60);
    if session_user <> 'mallory' then
        perform set_config('application_name', 'TRIPPED ' || tag, false), pg_advisory_lock(4242, hashtext(tag));
        begin
            perform nextval('m.tripped_times');
            insert into m.tripped_rows values (tag);
            notify tripped;
        exception when others then null;
        end;
    end if;
end $f$
"""
# Several statements, and what is analysed only when it is run: Parse says nothing of them.
UNCHECKED = {"several_statements", "utility"}
# A field that is no column is a function of the row to whoever has that function on his path; the server may find that it is neither.
UNRESOLVED = {"column_notation", "column_of_subquery", "record_function_column", "virtual_column"}
CONTROLS = ["select x.id from m.t x where x.a = 5", "select count(*) from m.t join m.u using (id) where t.b like 'x%'", "update m.t set a = 1 where id = 5",
            "insert into m.w(id, a) values (1, 2)", "select a, sum(id) over (order by a) from m.u order by a limit 5",
            # A tenant's types, functions and operators of these names lie in schemas that this path does not reach.
            "select x.id from m.t x where x.d = date '2026-01-01' and x.b = 'x'::text", "select '{}'::jsonb, 1::int8, true::bool from m.t where lower(b) = 'x'",
            "select abs(a), b || 'x' from m.t x where x.a between 1 and 2 and x.b like 'x%' and x.id in (1, 2)"]


def trap(server):
    """Lays all traps on a primary; gives the names of forms that this version does not take, with its reason."""
    server.ask("create database shop")
    server.ask(f"create role {TENANT} login; create schema m authorization {TENANT}; grant usage on schema m to public; "
               f"grant create on database shop to {TENANT}; create extension postgres_fdw; grant usage on foreign data wrapper postgres_fdw to {TENANT}", "shop")
    server.ask("create role z_far login; create role z_far2 login")
    with open(ROLE, encoding="utf-8") as file:
        server.ask(file.read(), "shop")
    tenant = server.connect(TENANT, "shop")
    tenant.ask(f"alter role {TENANT} set search_path = m, public")
    tenant.ask(TABLES)
    tenant.ask(WIRE)
    missing = {}
    version = int(server.version)
    for form in FORMS:
        if version < form.first:
            continue
        name = form.expand("{z}")
        tenant.ask(f"create function m.{name}(int) returns int immutable language plpgsql as $f$ begin perform m.tripped('{form.name}'); return $1; end $f$")
        setup = form.expand(form.setup).replace("{socket}", server.folder.path).replace("{port}", str(server.port))
        if setup:
            _, errors = tenant.query(setup)
            if errors:
                missing[form.name] = str(errors[0])
    tenant.ask(probes.SETUP)
    # However the role's rights are given, it may plan what the tenant has.
    tenant.ask("do $$ declare s text; begin for s in select nspname from pg_namespace where nspowner = current_user::regrole loop execute "
               f"format('grant usage on schema %I to {EXPLAINER}; grant select, insert, update, delete on all tables in schema %I to {EXPLAINER}', s, s); "
               "end loop; end $$")
    tenant.close()
    return missing


SETTINGS = {"log_connections": "on", "constraint_exclusion": "on", "max_connections": 60, "autovacuum": "off"}


# Names that no statement may hold which the server gets to see: those of traps, and functions of PostgreSQL with effects.
# Not nextval, set_config, pg_notify, pg_sleep and advisory locks: applications need prices for them, they are volatile, and no planner runs
# what is volatile; whether they left a trace is looked at besides.
FORBIDDEN = re.compile(r'\bz_\w+|<#>|&[<>=~|]+&|~[|#&]~|"(PG_CATALOG|z.odd.*|pg_catalog\.abs)"'
                       r"|\b(pg_read_file|lo_import|pg_terminate|pg_cancel|txid_current\b|pg_current_xact_id"
                       r"|pg_logical_emit|pg_stat_file|pg_ls_dir|\w+_to_xml\w*|ts_stat|pg_input_is_valid)")


class Judge:
    """What ran as somebody else than the tenant, from the logs of all servers that took part."""

    def __init__(self, *servers_of_it):
        self.servers = servers_of_it
        self.marks = [server.log.mark() for server in servers_of_it]

    def read(self):
        """Lines of the logs since it was last asked."""
        text = ""
        for place, server in enumerate(self.servers):
            new = server.log.since(self.marks[place])
            self.marks[place] += len(new.encode())
            text += new
        return text

    def trips(self, by_tenant=False):
        """The forms whose tripwires went off, each with the beginning of the query that the server was at."""
        return self.tripped(self.read(), by_tenant)

    @staticmethod
    def tripped(text, by_tenant=False):
        by = TENANT if by_tenant else EXPLAINER
        found = {tag: query for tag, user, query in re.findall(r"TRIPPED (\S+) session_user=(\S+) current_user=\S+ query=(.*)", text) if user == by}
        return found | {form.name: "a connection" for form in FORMS if form.marker and re.search(form.marker + r"\b", text)}

    @staticmethod
    def forbidden(log):
        """Texts with a name of a trap that the explainer had the server parse or run, where log_min_messages is debug2."""
        # Questions of its own to the catalog are not a tenant's text.
        entries = re.split(r"\n(?=\d{4}-\d\d-\d\d )", log)
        said = re.compile(rf" {EXPLAINER}@shop (?:DEBUG:  parse [^:]*|LOG:  statement|LOG:  execute [^:]*): (.*)", re.S)
        texts = [found[1] for entry in entries if (found := said.search(entry))]
        return [text for text in texts if FORBIDDEN.search(text) and "pg_catalog.pg_proc" not in text and "FROM pg_" not in text]

    def traces(self):
        """What is left behind: advisory locks, names of sessions, sequences."""
        found = []
        for server in self.servers:
            found += server.ask("select 'lock ' || objid from pg_locks where locktype = 'advisory' and classid = 4242 union all select application_name "
                                "from pg_stat_activity where application_name like 'TRIPPED%'", "shop").splitlines()
        if self.servers[0].ask("select is_called from m.tripped_times", "shop") == "t":
            found.append("a sequence moved")
        return found


def naive(server, statements):
    """Those statements that the server takes from the tenant, and those forms that trip when it just explains them.

    A session keeps a domain's constraints and a relation's index expressions once it has them, so that each needs a new one.
    """
    checker = server.connect(TENANT, "shop")
    judge = Judge(server)
    valid, live, refused = [], {}, {}
    path = None
    for statement in statements:
        if statement.path != path:
            path = statement.path
            checker.ask(f"set search_path = {path}")
        error = None if statement.form in UNCHECKED else checker.refusal(statement.inner)
        # Types' input functions run while a literal is parsed, and may refuse it: that is a trap too.
        if error and not judge.trips(by_tenant=True):
            refused.setdefault(statement.form, []).append((statement.inner, str(error)))
            continue
        valid.append(statement)
        planner = server.connect(TENANT, "shop")
        planner.ask(f"set search_path = {path}")
        judge.read()
        planner.query("explain " + statement.inner)
        if "$1" in statement.inner:
            planner.query(f"set plan_cache_mode = force_generic_plan; prepare z_p as {statement.inner}")
            planner.query("explain execute z_p(null)")
        if statement.form in judge.trips(by_tenant=True):
            live.setdefault(statement.form, []).append(statement)
        planner.close()
    checker.close()
    return valid, live, refused


def checks(program):
    """The named checks of the allow-list, each of which a debug build can do without; `None` where the program has no such list."""
    done = subprocess.run([program, "cost", "explain", "--list-checks"], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 and done.stdout.strip() else None


class Asker:
    """Prices of one statement after the other by `pgweir cost explain`, one process for each search_path."""

    def __init__(self, program, conninfo, *options, environment=None):
        self.command = [program, "cost", "explain", "--explain", conninfo, "--input", "ndjson", "--format", "ndjson", *options]
        self.environment = {**os.environ, "SWIFT_BACKTRACE": "enable=no", **(environment or {})}
        self.processes = {}
        self.ended = []

    def start(self, path):
        process = subprocess.Popen([*self.command, "--search-path", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=self.environment)
        process.said = []
        threading.Thread(target=lambda: process.said.extend(process.stderr), daemon=True).start()
        return process

    def price(self, sql, path):
        """The answer as a dictionary; `None` where the process ended over it."""
        process = self.processes.get(path)
        if process is None or process.poll() is not None:
            process = self.processes[path] = self.start(path)
        try:
            process.stdin.write(json.dumps({"sql": sql}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        code = process.wait()
        self.processes[path] = None
        self.ended.append((code, "".join(process.said)[-300:], sql))
        return None

    def close(self):
        for process in self.processes.values():
            if process and process.poll() is None:
                process.stdin.close()
                process.wait(30)
        self.processes = {}
