# SPDX-License-Identifier: Apache-2.0
"""README's first screen is what the program prints: `UPDATE=1 pytest test_readme.py` writes it."""
import os
import pty
import re
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
README = os.path.join(ROOT, "README.md")
COLUMNS = 125


def on_a_terminal(command):
    """What a command prints on a terminal, without colours."""
    own, other = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=other, stderr=subprocess.DEVNULL, cwd=ROOT,
                               env={**os.environ, "COLUMNS": str(COLUMNS)})
    os.close(other)
    output = b""
    try:
        while part := os.read(own, 65536):
            output += part
    except OSError:
        pass  # the end of a terminal that nobody has open any more
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output.decode()).replace("\r", "")


def test_the_first_screen_is_what_the_program_prints(pgweir):
    with open(README, encoding="utf-8") as file:
        text = file.read()
    block = re.search(r"```\n\$ pgweir (.*)\n((?:.*\n)*?)```\n", text)
    told = on_a_terminal([pgweir, *block[1].split()])
    first, more = told.split("Patterns by time", 1)
    assert more, "and what the block leaves out"
    if os.environ.get("UPDATE"):
        with open(README, "w", encoding="utf-8") as file:
            file.write(text[:block.start(2)] + first.rstrip() + "\n" + text[block.end(2):])
        return
    assert block[2].rstrip() == first.rstrip()
