# SPDX-License-Identifier: Apache-2.0
"""Numbers that name columns by their place belong to the fingerprint exactly where they belong to PostgreSQL's query id."""
import contextlib
import itertools
import json
import random
import subprocess

import pytest
from servers.wire import ServerError

# `#`: a number from 1 to 3, another one at each place of a list; `%`: a constant like no other.
LISTS = ["#", "#, #", "#, #, #", "# desc, # nulls last", "(#), #", "((#)) asc, b", "a, #", "% + %", "- %, a", "% collate \"C\", #",
         "%::int, #", "(%, %)", "(%) is null, #", "a in (%, %), #", "case when a = % then % end, #", "# using operator(pg_catalog.<)",
         "coalesce(%, a), (#)", "a between % and %, #", "% operator(pg_catalog.+) %, #", "(select % order by 1), #", "0x#, #", "% is not null"]
GROUPS = ["#, #, #", "(#, #, #)", "(#), (#, #)", "rollup(#, #, #)", "cube (#, (#, #))", "grouping sets ((#, #), (#), ())",
          "grouping sets (rollup(#, #), #)", "distinct #, #, #", "all #, #, #", "a, b, c, % + %", "a, b, (#)", "rollup((#), #), #", "((#, #), #)",
          "(a), b, c, f(%)"]
QUERIES = [
    "select a, b, c from t order by {list}", "select a, b, c from t where a = % order by {list} limit % offset %",
    "select a, b, c from t group by {group}", "select a, b, c, count(*) from t group by {group} having count(*) > % order by {list}",
    "select distinct on ({list}) a, b, c from t", "select distinct a, b, c from t order by {list}",
    "(select a, b, c from t) union all (select %, %, % from t) order by {list}", "values (1, 2, 3), (%, %, %) order by {list}",
    "select array_agg(a order by {constants}) from t", "select f(a), rank() over (partition by % order by {constants}) from t",
    "select rank() over w, b, c from t window w as (order by {constants}) order by {list}",
    "select percentile_cont(.5) within group (order by %) from t group by a order by #",
    "select a, b, c from ({query}) s(a, b, c) where b = % order by {list}", "with w(a, b, c) as ({query}) select a, b, c from w order by {list}",
    "select a in (select a from t order by {list}), b, c from t order by {list}", "table t order by {list}",
    "select a, array(select b from t order by #), exists (select a, b, c from t order by {list}) from t order by #",
    "insert into t select a, b, c from t order by {list} returning %, %", "select a, b, c from t order by {list} for update",
    "select a, b, c from t union select a, b, c from t group by {group} order by {list}",
    "select json_agg(a order by {constants}) filter (where a > %), % from t group by b order by #",
]


def form(choose, depth=0):
    query = choose.choice(QUERIES)
    if depth > 1:
        query = QUERIES[0]
    constants = [some.replace("0x#", "#").replace("#", "%") for some in LISTS]
    for place, some in (("{list}", LISTS), ("{group}", GROUPS), ("{constants}", constants)):
        while place in query:
            query = query.replace(place, "|" + choose.choice(some), 1)
    while "{query}" in query:
        query = query.replace("{query}", form(choose, depth + 1), 1)
    return query


def filled(query, choose):
    """The places of a list have different numbers: to sort by a column twice, or by a constant, is no other query."""
    text, numbers = query, None
    constants = iter(choose.sample(range(11, 1600), query.count("%")))
    while "%" in text:
        text = text.replace("%", str(next(constants)), 1)
    while "#" in text:
        before, after = text.split("#", 1)
        if "|" in before or numbers is None:
            # A list begins, or the query.
            numbers = itertools.chain.from_iterable(choose.sample((1, 2, 3), 3) for _ in itertools.count())
        text = before.replace("|", "") + str(next(numbers)) + after
    return text.replace("|", "")


def fingerprints(pgweir, texts):
    given = "".join(json.dumps({"sql": text}) + "\n" for text in texts)
    done = subprocess.run([pgweir, "fingerprint", "--input", "ndjson", "--format", "ndjson"], input=given, capture_output=True,
                          text=True, check=True)
    return [(one["fingerprint"], one["pattern"]) for one in map(json.loads, done.stdout.splitlines())]


@pytest.mark.parametrize("version", ["14", "15", "18"])
def test_patterns_differ_in_ordinals_where_query_ids_do(version, postgres, pgweir, seed, long):
    server = postgres(version, settings={"compute_query_id": "on"})
    server.ask("create table t(a int, b int, c int); create function f(int) returns int immutable language sql return $1")
    choose = random.Random(seed)
    families, texts = [], []
    with contextlib.closing(server.connect()) as connection:
        for _ in range(3000 if long else 250):
            query, family = form(choose), {}
            for _ in range(5):
                text = filled(query, choose)
                try:
                    rows = connection.ask("explain (verbose, costs off) " + text)
                except ServerError:
                    continue  # A column that is not grouped, or syntax of later versions.
                family[text] = rows[-1][0]
                assert family[text].startswith("Query Identifier"), rows
            families.append((query, family))
            texts += family
    assert len(texts) > len(families), f"the server refuses nearly all: {len(texts)} texts of {len(families)} forms"
    found = dict(zip(texts, fingerprints(pgweir, texts)))
    compared, apart, wrong = 0, 0, []
    for query, family in families:
        for one, other in itertools.combinations(family, 2):
            compared += 1
            is_same = family[one] == family[other]
            apart += not is_same
            if is_same != (found[one][0] == found[other][0]) or is_same != (found[one][1] == found[other][1]):
                wrong.append((one, other, is_same, found[one][1], found[other][1]))
    print(f"PostgreSQL {version}: {len(texts)} texts, {compared} pairs, {apart} of them apart")
    assert apart > compared / 10 and compared - apart > compared / 10
    assert not wrong, f"{len(wrong)} of {compared}: {wrong[:5]}"
