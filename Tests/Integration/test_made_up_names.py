# SPDX-License-Identifier: Apache-2.0
"""Names that programs make up: what PostgreSQL counts as one statement has one fingerprint, and one price asked once."""
import contextlib
import itertools
import json
import random
import subprocess

import pytest
from servers import wait_for

# `@` is a name, `%` a value of a setting.
FOLDED = {
    "17": ["SAVEPOINT @", "RELEASE @", "RELEASE SAVEPOINT @", "ROLLBACK TO @", "ROLLBACK WORK TO @",
           "ROLLBACK TRANSACTION TO SAVEPOINT @", "DEALLOCATE @", "DEALLOCATE PREPARE @", "PREPARE TRANSACTION '&'",
           "COMMIT PREPARED '&'", "ROLLBACK PREPARED '&'"],
    "18": ["SET ROLE %", "SET search_path TO %", "SET search_path = %, %", "SET application_name = %", "SET LOCAL search_path = %"],
}
NAMES = ["s1", "_x_4711", '"Order 7"', '"a""b"', 'U&"d\\0061t"', "next", "work", '"select"', "наме1"]
VALUES = ["public", "pg_catalog", '"My schema"', "'x'"]


def fingerprints(pgweir, texts):
    given = "".join(json.dumps({"sql": text}) + "\n" for text in texts)
    done = subprocess.run([pgweir, "fingerprint", "--input", "ndjson", "--format", "ndjson"], input=given, capture_output=True,
                          text=True, check=True)
    answers = [json.loads(line)["fingerprint"] for line in done.stdout.splitlines()]
    assert len(answers) == len(texts)
    return answers


def forms(version):
    return [form for since, some in FOLDED.items() if int(version) >= int(since) for form in some]


def text(form, choose):
    parts = form.split(" ")
    if choose.random() < .3:
        parts[0] = parts[0].lower()
    joined = choose.choice([" ", "  ", " /* c */ "]).join(parts)
    joined = joined.replace("@", choose.choice(NAMES)).replace("&", f"g{choose.randrange(10 ** 6)}")
    while "%" in joined:
        joined = joined.replace("%", choose.choice(VALUES), 1)
    return joined


@pytest.mark.parametrize("version", ["17", "18"])
def test_what_postgres_counts_as_one_has_one_fingerprint(version, postgres, pgweir, seed, long):
    """Whether a statement fails is no matter to pg_stat_statements' id: it is asked of the server's own log line."""
    server = postgres(version, settings={"compute_query_id": "on", "log_statement": "all", "log_line_prefix": "<%Q>",
                                         "log_min_duration_statement": "0", "max_prepared_transactions": "5"})
    choose = random.Random(seed)
    texts = [text(form, choose) for form in forms(version) for _ in range(100 if long else 12)]
    ids = {}
    with contextlib.closing(server.connect()) as connection:
        for number, sql in enumerate(texts):
            tagged = f"{sql} /* n{number} */"
            try:
                connection.query(tagged)
            except Exception:  # noqa: BLE001, the id is made before the statement runs
                pass
    log = server.log.since()
    for line in log.splitlines():
        if line.startswith("<") and "/* n" in line and ("STATEMENT:" in line or "duration:" in line):
            query_id, number = line[1:].split(">", 1)[0], line.rsplit("/* n", 1)[1].split(" ")[0]
            if query_id != "0":
                ids[int(number)] = query_id
    prints = fingerprints(pgweir, texts)
    of_id = {}
    for number, query_id in ids.items():
        of_id.setdefault(query_id, set()).add((prints[number], texts[number]))
    if int(version) >= 17:
        assert len(ids) > len(texts) / 2, f"only {len(ids)} of {len(texts)} ids were logged: {log[-500:]}"
    wrong = {query_id: some for query_id, some in of_id.items() if len({one for one, _ in some}) > 1}
    assert not wrong, wrong
    # And never the other way round: each form that the server tells apart by more than a name has its own.
    assert len(set(prints)) >= 8


def test_a_cursor_is_priced_as_its_query_and_asked_once(postgres, daemon):
    server = postgres("15")
    server.ask("create table orders as select g as id, g % 97 as customer from generate_series(1, 20000) g; analyze orders;"
               "create role pgweir_explain login; grant select on orders to pgweir_explain; create role ann login;"
               "grant select on orders to ann")
    watcher = daemon(server, "--explain", server.conninfo("pgweir_explain", host=server.folder.path), "--explain-primary",
                     "--web.listen-address", "none")
    counter = itertools.count()

    def cursors():
        with contextlib.closing(server.connect("ann")) as connection:
            for _ in range(12):
                name = f'"_django_curs_{next(counter)}"'
                for sql in ("begin", "savepoint s%d" % next(counter),
                            f"declare {name} no scroll cursor for select id from orders where customer = {next(counter) % 9}",
                            f"fetch 100 from {name}", f"close {name}", "commit"):
                    connection.query(sql)
    cursors()
    wait_for(lambda: watcher.pricing("priced") and not watcher.pricing("waiting"), what="all is priced")
    questions = watcher.pricing("questions")
    cursors()
    report = watcher.status()["report"]
    patterns = [one["text"] for one in report["patterns"]]
    made = [one for one in patterns if one and one.split(" ")[0] in ("declare", "fetch", "close", "savepoint")]
    assert sorted(made) == sorted(["declare ? no scroll cursor for select id from orders where customer = ?",
                                   "fetch ? from ?", "close ?", "savepoint ?"]), made
    assert watcher.pricing("questions") == questions
