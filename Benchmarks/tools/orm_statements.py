#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes literal-heavy SQL, as ORMs and report writers send it, for `synthesize orm`.

    orm_statements.py COUNT [--first N] [--patterns 3000] [--seed 1] > statements.bin

COUNT statements are drawn from PATTERNS shapes with Zipf weights (exponent 0.9); every one gets fresh literals, so
hardly two texts are the same. One record each: u32 length (big-endian), u8 verb (0 SELECT, 1 INSERT, 2 UPDATE,
3 DELETE), u8 result columns, u8 most rows in the answer, text. All of it is PostgreSQL grammar (libpg_query parses it).
"""

import argparse
import itertools
import random
import struct
import sys

SELECT, INSERT, UPDATE, DELETE = range(4)

NOUNS = """account invoice payment shipment customer purchase item product category label member login event audit
price discount address region country supplier warehouse stock transfer refund ticket comment thread message attachment
metric sample device sensor reading alert rule policy team project task milestone sprint board card""".split()
COLUMNS = """id created_at updated_at status name email amount total currency note owner_id parent_id kind code priority
weight score latitude longitude payload is_active is_deleted version external_ref started_at finished_at quantity
unit_price sku title slug body customer_ref tax_rate shipping_method billing_period locale timezone_name""".split()

# What a literal may look like: how to draw one.
LITERALS = [
    (30, lambda r: str(r.randrange(10 ** r.randint(1, 9)))),
    (10, lambda r: "%.2f" % (r.random() * 1000)),
    (4, lambda r: "-%d" % r.randint(1, 999)),
    (1, lambda r: "%de%d" % (r.randint(1, 9), r.randint(-9, 9))),
    (10, lambda r: "'%s'" % r.choice(["paid", "new", "a-b c", "O''Brien", "Zoë Ω", "on hold; see note"])),
    (8, lambda r: "'user%d@example.com'" % r.randint(1, 10**6)),
    (6, lambda r: "'%032x'" % r.getrandbits(128)),
    (12, lambda r: "'2024-0%d-1%d 10:20:30.%06d+00'" % (r.randint(1, 9), r.randint(0, 9), r.randrange(10**6))),
    (12, lambda r: "'%08x-0000-4000-8000-%012x'::uuid" % (r.getrandbits(32), r.getrandbits(48))),
    (4, lambda r: '\'{"a": %d, "b": [1, 2, {"c": "x -- y /* z */"}]}\'::jsonb' % r.randint(1, 10**6)),
    (1, lambda r: "E'tab\\t\\'quoted\\' %d'" % r.randint(1, 999)),
    (1, lambda r: "$tag$ raw 'text' %d $tag$" % r.randint(1, 999)),
    (2, lambda r: r.choice(["true", "false"])),
]


def number(r):
    return str(r.randint(1, 10**7))


def small(r):
    return str(r.randint(1, 100))


def in_list(r):
    return "(" + ", ".join(str(r.randint(1, 10**7)) for _ in range(r.randint(1, 20))) + ")"


def trace_parent(r):
    return "00-%032x-%016x-01" % (r.getrandbits(128), r.getrandbits(64))


class Shape:
    """One statement shape: fixed text and places for literals, alternating."""

    def __init__(self, rng, tables):
        self.rng = rng
        self.tables = tables
        self.table = rng.choice(tables)
        self.columns = rng.sample(COLUMNS, rng.randint(4, 11))
        self.parts = []
        self.verb, self.results, self.most_rows = SELECT, 0, 0
        build = rng.choices(
            [
                self.django,
                self.hibernate,
                self.sqlalchemy,
                self.insert,
                self.upsert,
                self.update,
                self.delete,
                self.report,
                self.lookup,
            ],
            [27, 18, 8, 12, 4, 12, 5, 10, 4],
        )[0]
        build()
        self.parts = self.merge(self.parts)

    @staticmethod
    def merge(parts):
        merged = []
        for part in parts:
            if merged and isinstance(part, str) and isinstance(merged[-1], str):
                merged[-1] += part
            else:
                merged.append(part)
        return merged

    def render(self, rng):
        return "".join([part if isinstance(part, str) else part(rng) for part in self.parts])

    def add(self, *parts):
        self.parts.extend(parts)

    def literal(self):
        weights, draws = zip(*LITERALS)
        return self.rng.choices(draws, weights)[0]

    def column(self):
        return self.rng.choice(COLUMNS)

    def returns(self, columns, most_rows):
        self.results, self.most_rows = columns, most_rows

    def django(self):
        t = self.table
        joined = self.rng.sample([u for u in self.tables if u != t], self.rng.choice([0, 0, 1, 1, 2]))
        listed = [(t, c) for c in self.columns]
        for u in joined:
            listed += [(u, c) for c in self.rng.sample(COLUMNS, 3)]
        self.add("SELECT ", ", ".join('"%s"."%s"' % pair for pair in listed), ' FROM "%s"' % t)
        for u in joined:
            self.add(' INNER JOIN "%s" ON ("%s"."%s" = "%s"."id")' % (u, t, self.column(), u))
        self.add(" WHERE (")
        for i in range(self.rng.randint(1, 4)):
            self.add(" AND " if i else "")
            if self.rng.random() < 0.25:
                self.add('"%s"."%s" IN ' % (t, self.column()), in_list)
            else:
                self.add('"%s"."%s" %s ' % (t, self.column(), self.rng.choice(["=", ">", "<=", "<>"])), self.literal())
        self.add(') ORDER BY "%s"."%s" DESC LIMIT ' % (t, self.column()), small)
        if self.rng.random() < 0.3:
            self.add(" /*action='%s',controller='%s',traceparent='" % (self.column(), t), trace_parent, "'*/")
        self.returns(len(listed), 4)

    def hibernate(self):
        a = self.table[0] + "1_0"
        self.add("select ", ",".join("%s.%s" % (a, c) for c in self.columns), " from %s %s" % (self.table, a))
        if self.rng.random() < 0.5:
            b = self.table[0] + "2_0"
            self.add(" left join %s %s on %s.id=%s.%s" % (self.rng.choice(self.tables), b, b, a, self.column()))
        self.add(" where %s.%s=" % (a, self.column()), self.literal())
        if self.rng.random() < 0.4:
            self.add(" and %s.%s in " % (a, self.column()), in_list)
        self.add(" order by %s.%s asc offset " % (a, self.column()), small, " rows fetch first ", small, " rows only")
        self.returns(len(self.columns), 4)

    def sqlalchemy(self):
        t = self.table
        self.add("SELECT ", ", ".join("%s.%s AS %s_%s" % (t, c, t, c) for c in self.columns[:6]), " \nFROM %s " % t)
        self.add("\nWHERE %s.%s = " % (t, self.column()), self.literal())
        self.add(" AND %s.%s BETWEEN " % (t, self.column()), number, " AND ", number, " \n LIMIT ", small)
        self.returns(min(6, len(self.columns)), 4)

    def values(self):
        self.add("INSERT INTO %s (%s) VALUES (" % (self.table, ", ".join(self.columns)))
        for i in range(len(self.columns)):
            self.add(", " if i else "", self.literal())
        self.add(")")

    def insert(self):
        self.verb = INSERT
        self.values()
        if self.rng.random() < 0.7:
            self.add(" RETURNING %s.id" % self.table)
            self.returns(1, 1)

    def upsert(self):
        self.verb = INSERT
        self.values()
        self.add(" ON CONFLICT (%s) DO UPDATE SET " % self.columns[0])
        self.add(", ".join("%s = EXCLUDED.%s" % (c, c) for c in self.columns[1:6]), ", version = ", number)

    def update(self):
        self.verb = UPDATE
        self.add('UPDATE "%s" SET ' % self.table)
        for i, c in enumerate(self.columns[:8]):
            self.add(", " if i else "", '"%s" = ' % c)
            if self.rng.random() < 0.15:
                self.add('"%s" + ' % c, number)
            else:
                self.add(self.literal())
        self.add(' WHERE "%s"."id" = ' % self.table, number)

    def delete(self):
        self.verb = DELETE
        self.add("DELETE FROM %s WHERE %s < " % (self.table, self.columns[0]), self.literal())
        self.add(" AND %s = ANY(ARRAY[" % self.columns[1], number, ", ", number, ", ", number, "])")

    def report(self):
        c = self.columns
        self.add("-- report %s\nWITH x AS (\n    SELECT %s,\n           count(*) AS n,\n" % (self.table, c[0]))
        self.add("           sum(coalesce(%s, 0)) AS s\n      FROM %s\n     WHERE created_at >= " % (c[1], self.table))
        self.add(self.literal(), "\n       AND %s <> " % c[2], self.literal(), "\n     GROUP BY 1\n)\nSELECT x.*,")
        self.add(" row_number() OVER (PARTITION BY x.%s ORDER BY x.n DESC) AS rn,\n" % c[0])
        self.add(
            "       CASE WHEN x.s > ", number, " THEN ", self.literal(), " ELSE ", self.literal(), " END AS bucket\n"
        )
        self.add("  FROM x\n WHERE x.n > ", number, "\n ORDER BY x.s DESC\n LIMIT ", small, ";")
        self.returns(5, 8)

    def lookup(self):
        self.add("select %s from %s where id=" % (", ".join(self.columns[:2]), self.table), self.literal())
        self.returns(2, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, help="write only the first so many of the COUNT")
    parser.add_argument("--patterns", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    tables = [n + "s" for n in NOUNS] + ["%s_%ss" % (a, b) for a in NOUNS for b in rng.sample(NOUNS, 4)]
    shapes = [Shape(rng, tables) for _ in range(options.patterns)]
    weights = list(itertools.accumulate(1 / (rank + 1) ** 0.9 for rank in range(len(shapes))))
    write = sys.stdout.buffer.write
    for shape in rng.choices(shapes, cum_weights=weights, k=options.count)[: options.first]:
        text = shape.render(rng).encode()
        write(struct.pack(">IBBB", len(text), shape.verb, shape.results, shape.most_rows) + text)


if __name__ == "__main__":
    main()
