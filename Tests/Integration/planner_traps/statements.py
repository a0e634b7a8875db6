# SPDX-License-Identifier: Apache-2.0
"""The product of forms, positions, wrappers and spellings, by a seed."""
import random as randomness
import re
from dataclasses import dataclass

from planner_traps import positions
from planner_traps.forms import FORMS
from planner_traps.spelling import spell

ADAPTED = {("int", "bool"): "({}) is not null", ("any", "bool"): "({}) is not null", ("bool", "int"): "case when {} then 1 else 2 end",
           ("any", "int"): "case when ({}) is null then 1 else 2 end", ("int", "any"): "{}", ("bool", "any"): "{}"}
NEUTRAL = {"int": "1", "bool": "true", "any": "null"}
COLUMNS = {"m", "t", "u", "w", "p", "x", "y", "id", "a", "b", "c", "z"}


@dataclass(frozen=True)
class Statement:
    form: str
    position: str
    inner: str
    """What is planned."""
    text: str
    """What is sent."""
    path: str


def fill(position, kind, expression, random):
    """The expression in one place of the position, chosen at random, and something harmless in the others."""
    holes = re.findall(r"\{(int|bool|any)\}", position)
    chosen = random.randrange(len(holes)) if holes else None
    count = iter(range(len(holes)))

    def one(found):
        wanted = found[1]
        if next(count) != chosen:
            return NEUTRAL[wanted]
        return expression if kind == wanted else ADAPTED[kind, wanted].format(expression)
    return re.sub(r"\{(int|bool|any)\}", one, position)


def combinations(form, version):
    """(position, inner maker) of a form, each once for each of its uses."""
    rows, bare = positions.lines(positions.WITH_ROW), positions.lines(positions.WITHOUT_ROW)
    rows += [line for first, text in positions.NEW.items() if version >= first for line in positions.lines(text)]
    for kind, use in form.uses:
        text = form.expand(use)
        for position in rows if re.search(r"\bx\.|\(x\)|::.*\bx\b|\(x", text) else rows + bare:
            if version >= 15 or not position.startswith("merge"):
                yield position, kind, text
    if form.relation:
        kinds = ["insert", "update", "delete"] if form.writes == "all" else [form.writes] if form.writes in positions.WRITES else []
        found = [] if kinds and form.writes != "all" else positions.lines(positions.READS)
        for kind in kinds:
            found += positions.lines(positions.WRITES[kind])
        for position in found:
            if version >= 15 or not position.startswith("merge"):
                yield position.replace("{r}", form.expand(form.relation)), None, None
    for text in form.statements:
        yield form.expand(text), None, None


HOME = {"select x.id from m.t x where {bool}", "select {any} from m.t x", "select 1 limit {int}", "select {any}"}


def is_home(form, position, kind):
    """Where nearly every form runs when it is planned."""
    if kind == "bool" and any(text.startswith("x.") or text.startswith("exists") for use, text in form.uses if use == "bool"):
        # What is estimated is a condition.
        return position == "select x.id from m.t x where {bool}"
    if position in HOME or position in [form.expand(text) for text in form.statements]:
        return True
    relation = form.expand(form.relation)
    homes = [f"select * from {relation}", f"select q.a from {relation} q where q.id = 1", f"insert into {relation}(id) values (1)", f"update {relation} set a = 1",
             f"delete from {relation}", f"select * from m.t x join {relation} q on q.id = x.id", f"select a from {relation} group by a having count(*) > 1 order by a limit 3"]
    return bool(relation) and position in homes


def generate(version, seed, most_of_form=None, plain=False):
    """Statements for a server, in an order that the seed decides; `most_of_form`: how many of each form (all if None).

    `plain`: in the letters in which forms and positions are written, with nothing around them.
    """
    random = randomness.Random(f"{seed} {version}")
    result = []
    for form in FORMS:
        if version < form.first:
            continue
        found = list(combinations(form, version))
        random.shuffle(found)
        if most_of_form is not None:
            # Half of them where the form is known to live, so that a slice is no slice of dead ones.
            at_home = [one for one in found if is_home(form, one[0], one[1])][:(most_of_form + 1) // 2]
            found = at_home + [one for one in found if one not in at_home]
        names = COLUMNS | set(re.findall(r"\bz_[a-z_0-9]+", form.expand(form.setup + " ".join(text for _, text in form.uses)))) | {f"z_{form.name}"}
        for position, kind, text in found[:most_of_form]:
            inner = position if kind is None else fill(position, kind, text, random)
            spelled = inner if plain else spell(inner, random, names)
            # What adds a column's name to a query must not clash with names that it has already.
            sent = spelled
            if not plain and random.random() < 0.25 and ";" not in inner and form.name != "utility":
                wrappers = list(positions.WRAPPERS)
                if re.match(r"(select|values|table|with(?!.*(insert|update|delete|merge) ))", inner) and "for update" not in inner:
                    wrappers += positions.QUERY_WRAPPERS * 2
                sent = random.choice(wrappers).replace("{s}", spelled)
            result.append(Statement(form.name, position, spelled, sent, form.expand(form.path)))
    return result
