# SPDX-License-Identifier: Apache-2.0
"""Statements whose parsing, checking or planning takes long, or much memory. `n` makes each statement another pattern."""


def power_chain(n, terms):
    return " + ".join(f"div(power(7::numeric, 76000), power(3::numeric, {60000 + n + i}))" for i in range(terms))


def statements(n=0):
    chain = power_chain(n, 60)
    joined = [f"m.hp p{i}" for i in range(6)]
    return {
        "numeric chain in LIMIT": f"select 1 as a{n} limit (case when {chain} > 0 then 1 else 2 end)",
        "numeric chain in OFFSET": f"select 1 as a{n} offset (case when {chain} > 0 then 1 else 2 end)",
        "numeric chain in the select list": f"select {chain} as a{n}",
        "numeric chain in WHERE": f"select 1 as a{n} from m.t where {chain} > 0",
        "numeric chain in VALUES": f"values ({chain}, {n})",
        "numeric chain in a frame": f"select sum(id) over (order by id rows (case when {chain} > 0 then 1 else 2 end) preceding) as a{n} from m.t",
        "numeric chain in TABLESAMPLE": f"select id as a{n} from m.t tablesample bernoulli ((case when {chain} > 0 then 1 else 2 end))",
        "numeric chain in ON CONFLICT": f"insert into m.w(id) values ({n}) on conflict (id) where {chain} > 0 do nothing",
        "numeric chain of built-in names": "select " + " + ".join(f"power(pi()::numeric, factorial({9 + n % 2})::numeric / 90)" for _ in range(60)),
        "powers of the time": f"select id as a{n} from m.t where a > div(" + " * ".join(["power(extract(epoch from now()), extract(year from now()))"] * 6) + ", "
                              + " * ".join(["power(extract(epoch from now()), extract(year from now()))"] * 3) + ")",
        "much text without a literal": f"select id as a{n} from m.t where b = repeat(version(), pg_backend_pid() * pg_backend_pid())",
        "factorial of the process id": f"select id as a{n} from m.t where a > factorial(pg_backend_pid())",
        "padding to the time": f"select id as a{n} from m.t where b = lpad(version(), extract(epoch from now())::int)",
        "a series to the time": f"select id as a{n} from m.t where a in (select g from generate_series(extract(year from now())::int, extract(epoch from now())::int) g)",
        "factorial": f"select 1 as a{n} limit (case when factorial({30000 + n}) > 0 then 1 else 2 end)",
        "exp, ln and sqrt": f"select 1 as a{n} limit (case when " + " + ".join(f"sqrt(exp({5000 + n + i}::numeric)) * ln({i + 2}::numeric(1000, 900))"
                                                                      for i in range(30)) + " > 0 then 1 else 2 end)",
        "900 MB": f"select repeat('x{n}', 400000000)",
        "900 MB in LIMIT": f"select 1 as a{n} limit length(repeat('x{n}', 400000000))",
        "md5 of 400 MB, 40 times": f"select 1 as a{n} limit length(" + "||".join(f"md5(repeat('x{n + i}', 400000000))" for i in range(40)) + ")",
        "sha512 of 300 MB, 40 times": f"select 1 as a{n} limit length(" + "||".join(f"sha512(convert_to(repeat('y{n + i}', 300000000), 'UTF8'))"
                                                                                   for i in range(40)) + ")",
        "regular expression": f"select 1 as a{n} limit (case when repeat('a', {5000 + n}) ~ '^(((((a*)*)*)*)*)*b$' then 1 else 2 end)",
        "regular expression in WHERE": f"select id as a{n} from m.t where b ~ '^(((((a*)*)*)*)*)*b{n}$' and repeat('a', {5000 + n}) ~ '^(((((a*)*)*)*)*)*b$'",
        "back references": f"select 1 as a{n} limit length(regexp_replace(repeat('ab', {20000 + n}), '(.*)(.*)(.*)\\1\\2\\3x', '', 'g'))",
        "generate_series in VALUES": f"values ((select sum(g) from generate_series(1, 100000000) g), {n})",
        "a long sum": f"select {n} + " + "+".join(["1"] * 60_000),
        "parentheses": "select " + "(" * 30_000 + str(n) + ")" * 30_000,
        "a large union": " union all ".join([f"select {n}"] * 3000),
        "100,000 literals": f"select id as a{n} from m.t where id in (" + ",".join(map(str, range(100_000))) + ")",
        "NOT": f"select {'not ' * 7900} true as a{n}",
        "a nested CASE": "select " + "case when true then " * 3000 + str(n) + " end" * 3000,
        "nested subselects": "select * from " + "(select * from " * 600 + "m.t" + "".join(f") a{n}{i}" for i in range(600)),
        "casts": f"select {n}" + "::int" * 7000,
        "partitions joined": f"select count(*) as a{n} from " + ", ".join(joined) + " where " + " and ".join(f"p{i}.k = p{i + 1}.k" for i in range(5)),
        "twelve joins of partitions": f"select count(*) as a{n} from " + " join ".join(f"m.hp p{i}" + (f" on p{i}.k = p{i - 1}.k" if i else "") for i in range(12)),
        "40 joins": f"select count(*) as a{n} from " + " cross join ".join(f"m.t x{i}" for i in range(40)) + " where "
                    + " and ".join(f"x{i}.id = x{i + 1}.a" for i in range(39)),
        "grouping sets": f"select count(*) as a{n} from m.t group by cube (id, a, b, c, d, j, arr, id + 1, a + 1, b || 'x', id + 2, a + 2)",
        "rollups multiplied": f"select count(*) as a{n} from m.t group by " + ", ".join("rollup (id, a, b, c, d, id + 1, a + 1)" for _ in range(5)),
        "nested CTEs": "with " + ", ".join(f"w{i} as (select * from {f'w{i - 1} a, w{i - 1} b' if i else 'm.t'})".replace("select *", "select " + ("a.id" if i else "id"))
                                            for i in range(14)) + f" select count(*) as a{n} from w13",
        "views doubled": f"select count(*) as a{n} from m.hv14",
        "IN lists of rows": f"select id as a{n} from m.t where (id, a) in (" + ",".join(f"({i}, {i})" for i in range(20_000)) + ")",
        "xml entities": f"select 1 as a{n} where xmlparse(content '" + "<a>" * 5000 + "</a>" * 5000 + "') is not null",
        "jsonb depth": f"select '{'[' * 6000}{']' * 6000}'::jsonb as a{n}",
        "a jsonpath": f"select '[{n}]'::jsonb @@ '{'(' * 3000}$ > 0{')' * 3000}' as a{n}",
        "to_tsquery": f"select to_tsquery('{' & '.join(['a' + str(n)] * 8000)}')",
        "pg_sleep": f"select pg_sleep(30) as a{n}",
        "pg_sleep in LIMIT": f"select {n} limit length(pg_sleep(30)::text)",
        "explain analyze of pg_sleep": f"explain analyze select pg_sleep(30) as a{n}",
        "an advisory lock": f"select pg_advisory_lock(99) as a{n}",
        "a locked table": f"select id as a{n} from m.held",
    }


SETUP = """
create table m.hp(id int, k int) partition by range (id);
do $$ begin for g in 0..299 loop execute format('create table m.hp_%s partition of m.hp for values from (%s) to (%s)', g, g * 10, g * 10 + 10); end loop; end $$;
insert into m.hp select g, g from generate_series(0, 2999) g;
create table m.held(id int);
create view m.hv0 as select id from m.t;
do $$ begin for g in 1..14 loop execute format('create view m.hv%s as select a.id from m.hv%s a join m.hv%s b using (id)', g, g - 1, g - 1); end loop; end $$;
analyze m.hp;
"""
