# SPDX-License-Identifier: Apache-2.0
"""The commands of README, CONTRIBUTING and Documentation work: blocks are taken from the documents and run.

A block ```sh runs as it stands in a folder of its own, with Fixtures, Deploy and `pgweir` at hand, and has to end with 0. What stands right
above a block changes that:

    <!-- run with NAME=FILE … -->   FILE of the checkout lies there as NAME, in place of the reader's own
    <!-- not run: REASON -->        it needs the reader's own server, network or time

Options of `pgweir` are checked in every block, run or not.
"""
import glob
import os
import re
import shlex
import shutil
import subprocess

import pytest

from servers import process
from servers.daemon import CHECKOUT

DOCUMENTS = [os.path.join(CHECKOUT, name) for name in ("README.md", "CONTRIBUTING.md")] \
    + sorted(glob.glob(os.path.join(CHECKOUT, "Documentation", "*.md")))
BLOCK = re.compile(r"^(?:<!-- (?P<kind>run with|not run:) (?P<rest>[^\n]*?) -->\n\s*)?^```sh\n(?P<text>.*?)^```$", re.M | re.S)


class Block:
    def __init__(self, path, source, match):
        self.text, self.kind, self.rest = match["text"], match["kind"], match["rest"]
        line = source.count("\n", 0, match.start("text")) + 1
        self.name = f"{os.path.relpath(path, CHECKOUT)}:{line}"


def blocks(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return [Block(path, text, match) for match in BLOCK.finditer(text)]


BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]
RUN = [block for block in BLOCKS if block.kind != "not run:"]


def commands(text):
    """The words of each command of `pgweir` in a block, behind the program's name."""
    text = text.replace("\\\n", " ")
    for line in text.splitlines():
        # A quotation that shlex cannot take apart is not a command of ours to check.
        try:
            words = list(shlex.shlex(line, posix=True, punctuation_chars="|;&<>()"))
        except ValueError:
            continue
        while "pgweir" in words:
            words = words[words.index("pgweir") + 1:]
            end = next((place for place, word in enumerate(words) if set(word) <= set("|;&<>()")), len(words))
            yield words[:end]


def test_every_block_is_found():
    for path in DOCUMENTS:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert len(blocks(path)) == len(re.findall(r"^```sh$", text, re.M)), path
        assert len(re.findall(r"^<!-- (?:run with|not run:)", text, re.M)) == sum(block.kind is not None for block in blocks(path)), path
    assert len(RUN) >= 4


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_a_block_runs(pgweir, tmp_path, block):
    for name in ("Fixtures", "Deploy"):
        os.symlink(os.path.join(CHECKOUT, name), tmp_path / name)
    for word in (block.rest or "").split():
        name, source = word.split("=")
        shutil.copy(os.path.join(CHECKOUT, source), tmp_path / name)
    needed = [tool for tool in ("jq", "valgrind", "gdb", "tshark") if re.search(rf"\b{tool}\b", block.text) and not shutil.which(tool)]
    if needed:
        pytest.skip(f"{', '.join(needed)} is not installed")
    environment = {**os.environ, "PATH": f"{os.path.dirname(pgweir)}:{os.environ['PATH']}", "STATE_DIRECTORY": str(tmp_path / "state")}
    done = process.run(["bash", "-euo", "pipefail", "-c", block.text], check=False, cwd=tmp_path, env=environment,
                       stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{block.name}\n{block.text}\n{done.stdout}"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_names_commands_and_options_that_are_there(pgweir, block):
    for words in commands(block.text):
        bare = next((place for place, word in enumerate(words) if not re.fullmatch(r"[a-z][a-z-]*", word)), len(words))
        if words[:1] == ["--version"]:
            continue
        # The longest path of subcommands that has a help of its own: `quota exempt alice` is `quota exempt`.
        for length in (min(bare, 2), 1):
            asked = process.run([pgweir, "help", *words[:length]], check=False)
            usage = re.search(r"^USAGE: pgweir (.*)", asked.stdout, re.M)
            if usage and usage[1].split()[:length] == words[:length]:
                break
        else:
            pytest.fail(f"{block.name}: no command 'pgweir {' '.join(words[:2])}'")
        for option in (word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)):
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", asked.stdout), \
                f"{block.name}: 'pgweir {' '.join(words[:length])}' has no option {option}"


def test_an_option_that_is_not_there_is_found(pgweir, tmp_path):
    """Else the tests above would pass whatever a document says."""
    document = tmp_path / "wrong.md"
    document.write_text("```sh\nsudo pgweir replay x.pcap --format json --worker 3 | head\n```\n")
    (block,) = [Block(str(document), document.read_text(), match) for match in BLOCK.finditer(document.read_text())]
    assert list(commands(block.text)) == [["replay", "x.pcap", "--format", "json", "--worker", "3"]]
    with pytest.raises(AssertionError, match="no option --worker"):
        test_a_block_names_commands_and_options_that_are_there(pgweir, block)
    with pytest.raises(AssertionError):
        block.text = "pgweir replay nothing.pcap\n"
        test_a_block_runs(pgweir, tmp_path, block)
