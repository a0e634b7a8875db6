# SPDX-License-Identifier: Apache-2.0
"""Scripts/fuzz says by its exit status whether fuzzers were built and found nothing: CI reads nothing else."""
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A stand-in for the compiler: builds what BUILT says, or fails as FAILURE says.
SWIFT = """#!/bin/sh
echo "$@" >> "$PLACE/asked"
[ -z "$FAILURE" ] || { echo "$FAILURE"; exit 1; }
for word; do product=$word; done
mkdir -p .build-fuzz/release
printf '#!/bin/sh\\n%s\\n' "$BUILT" > ".build-fuzz/release/$product"
chmod +x ".build-fuzz/release/$product"
echo "Build complete!"
"""


@pytest.fixture
def fuzz(tmp_path):
    """Runs a copy of the script in a folder of its own."""
    (tmp_path / "Scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(os.path.join(ROOT, "Scripts", "fuzz"), tmp_path / "Scripts" / "fuzz")
    (tmp_path / "bin" / "swift").write_text(SWIFT)
    (tmp_path / "bin" / "swift").chmod(0o755)

    def run(*arguments, failure="", built="echo 'stat::number_of_executed_units: 7'; exit 0"):
        environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PLACE": str(tmp_path), "FAILURE": failure, "BUILT": built}
        return subprocess.run([tmp_path / "Scripts" / "fuzz", *arguments], env=environment, capture_output=True, text=True, timeout=60)
    return run


def test_fuzzers_that_are_built_and_find_nothing_pass(fuzz):
    result = fuzz("--seconds", "1")
    assert result.returncode == 0, result
    assert result.stdout.count("number_of_executed_units") == 4


@pytest.mark.parametrize("failure", ["Lexer.swift:1:1: error: cannot find 'x' in scope", "Killed"])
def test_a_build_that_breaks_fails(fuzz, failure):
    result = fuzz("--seconds", "1", failure=failure)
    assert result.returncode != 0
    assert failure in result.stderr and "does not build" in result.stderr


def test_a_build_that_breaks_later_fails_though_older_programs_are_there(fuzz):
    assert fuzz("Lexer").returncode == 0
    result = fuzz("Lexer", failure="error: no")
    assert result.returncode != 0 and "units" not in result.stdout


def test_a_fuzzer_that_finds_something_fails(fuzz):
    result = fuzz("Lexer", built="echo 'SUMMARY: libFuzzer: deadly signal'; exit 77")
    assert result.returncode != 0 and "Lexer failed" in result.stderr
