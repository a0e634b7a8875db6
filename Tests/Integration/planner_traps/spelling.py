# SPDX-License-Identifier: Apache-2.0
"""The same statement in other letters: quoted and escaped names, comments, case, names without their schema."""
import re

TOKEN = re.compile(r"""
    (?P<space>\s+) | (?P<escaped>[uU]&"(?:[^"]|"")*"(?:\s+uescape\s+'.')?) | (?P<quoted>"(?:[^"]|"")*") | (?P<string>'(?:[^']|'')*') |
    (?P<word>[A-Za-z_][A-Za-z_0-9$]*) | (?P<number>[0-9]+(?:\.[0-9]+)?) | (?P<cast>::) | (?P<sign>[+\-*/<>=~!@\#%^&|?]+) | (?P<other>.)""", re.X | re.S)
GAPS = [" ", "\n", "\t", "/**/", "/* select */", "/* /* nested */ ' */", "-- it's \"\n", "  ", "\f", "\r\n"]


def tokens(sql):
    return [(found.lastgroup, found[0]) for found in TOKEN.finditer(sql)]


def spell(sql, random, names):
    """`names`: identifiers that may be quoted, since they are names and never keywords."""
    style = random.choice(["plain", "plain", "quoted", "escaped", "upper", "comments", "unqualified", "mixed"])
    if style == "plain":
        return sql
    result, gap = [], lambda: random.choice(GAPS)
    parts = tokens(sql)
    place = 0
    while place < len(parts):
        kind, text = parts[place]
        following = parts[place + 1][1] if place + 1 < len(parts) else ""
        chosen = random.choice(["quoted", "escaped", "upper", "comments", "plain"]) if style == "mixed" else style
        if style == "unqualified" and kind == "word" and text == "m" and following == "." and random.random() < 0.8:
            # Inside operator(m.<sign>) the schema cannot go.
            if place + 2 < len(parts) and parts[place + 2][0] in ("word", "quoted", "escaped"):
                place += 2
                continue
        if kind == "word" and text in names:
            if chosen == "quoted":
                text = f'"{text}"'
            elif chosen == "escaped":
                text = 'U&"' + "".join(f"\\{ord(letter):04x}" if random.random() < 0.5 else letter for letter in text) + '"'
            elif chosen == "upper":
                text = text.upper()
        elif kind == "string" and chosen in ("escaped", "quoted") and parts[place - 1][1][-1:] not in "&'" and len(text) > 2:
            text = random.choice([text, string(text, random)])
        elif kind == "word" and chosen == "upper":
            text = "".join(random.choice([letter.upper(), letter]) for letter in text)
        elif kind == "space" and chosen == "comments":
            # A comment may not hide in front of a comment's end or split a sign.
            text = gap() + " " if random.random() < 0.6 else text
        elif kind == "other" and text in ".(" and chosen == "comments" and random.random() < 0.3:
            text = text + random.choice(["/* . */", " ", "\n"])
        result.append(text)
        place += 1
    return "".join(result)


def string(text, random):
    """A string constant in another form."""
    value = text[1:-1]
    return random.choice([
        "$$" + value.replace("''", "'") + "$$", "$q$" + value.replace("''", "'") + "$q$", "e'" + value.replace("\\", "\\\\") + "'",
        "E'" + "".join(f"\\x{ord(letter):02x}" for letter in value.replace("''", "'") if ord(letter) < 128) + "'",
        "U&'" + "".join(f"\\{ord(letter):04x}" for letter in value.replace("''", "'")) + "'",
        "'" + value[:1].replace("'", "") + "'\n'" + value[1:] + "'" if "'" not in value else text])
