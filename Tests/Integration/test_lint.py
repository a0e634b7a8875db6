# SPDX-License-Identifier: Apache-2.0
"""Scripts/lint finds what it is there for: each kind of fault, planted in a checkout of its own."""
import os
import shutil
import subprocess

import pytest

from servers.daemon import CHECKOUT

HEADER = "# SPDX-License-Identifier: Apache-2.0\n"
SHELL = "#!/bin/sh\n" + HEADER


@pytest.fixture
def lint(tmp_path):
    """Runs Scripts/lint on files {path: text}; gives its exit code and what it said."""
    def run(files, *options):
        os.makedirs(tmp_path / "Scripts", exist_ok=True)
        shutil.copy(os.path.join(CHECKOUT, "Scripts/lint"), tmp_path / "Scripts/lint")
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        done = subprocess.run(["Scripts/lint", *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout
    return run


def test_good_files_pass(lint):
    code, said = lint({"good": SHELL + "echo hello\n", "good.yaml": "a: 1\n", "good.py": HEADER + "print(1)\n", "empty.py": ""})
    assert code == 0, said


@pytest.mark.parametrize(("name", "text", "tools", "kind"), [
    ("script", SHELL + "echo $1\n", ("shellcheck",), "shellcheck"),
    ("bad.yaml", "a: [1\n", ("yamllint",), "yamllint"),
    ("bad.py", HEADER + "import os\n", ("ruff", "pyflakes3", "pyflakes"), "(ruff|pyflakes)"),
    ("script", "#!/bin/sh\necho hello\n", ("sh",), "headers"),
], ids=["shell", "yaml", "python", "header"])
def test_a_fault_is_found(lint, name, text, tools, kind):
    if not any(map(shutil.which, tools)):
        pytest.skip(f"none of {tools} is installed")
    code, said = lint({name: text})
    assert code == 1 and name in said
    assert any(f"lint: failed: {word}" in said for word in kind.strip("()").split("|")), said


def test_a_hook_looks_at_what_is_new(lint):
    code, said = lint({"script": SHELL + "echo $1\n"}, "--fast")
    assert code == 1 and "script" in said, said
