# SPDX-License-Identifier: Apache-2.0
"""What a user meets on the command line: exit codes, pipes, messages."""
import fcntl
import gzip
import json
import os
import subprocess

import pytest

from servers import process
from servers.daemon import CHECKOUT

CAPTURES = os.path.join(CHECKOUT, "Fixtures", "Captures")
MIX = os.path.join(CAPTURES, "mix_a.pcap")
POLICY = os.path.join(CHECKOUT, "Fixtures", "pgweir.yaml")


@pytest.fixture
def told(pgweir, tmp_path):
    """Runs pgweir with `words` and gives what it printed, on either output; `code` is the exit code that it has to end with."""
    def run(code, *words, **more):
        environment = {**os.environ, "STATE_DIRECTORY": str(tmp_path / "state")}
        done = process.run([pgweir, *map(str, words)], check=False, cwd=CHECKOUT, stderr=subprocess.STDOUT, env=environment, **more)
        assert done.returncode == code, done.stdout
        return done.stdout
    return run


@pytest.mark.parametrize(("words", "text"), [
    (["replay", MIX], "Patterns by cost"),
    (["replay", "-r", MIX, "--format", "json"], '"users"'),
    (["replay", MIX, "--format", "ndjson"], '"db.system.name":"postgresql"'),
    (["replay", MIX, "--by", "database"], "Databases"),
    (["replay", os.path.join(CAPTURES, "f_cut_file_a.pcap")], "middle of a packet"),
    (["replay", MIX, "-f", "port 1"], "no login was seen"),
    (["replay", MIX, "--config", POLICY], "premium"),
    (["mirror", "plan", "-i", "eth0", "--to", "mirror0"], 'dup to "mirror0"'),
    (["--version"], "0."),
], ids=["text", "json", "ndjson", "by-database", "cut-file", "filter-without-traffic", "policy", "mirror-plan", "version"])
def test_a_command_succeeds_and_prints(told, words, text):
    assert text in told(0, *words)


@pytest.mark.parametrize(("code", "words", "text"), [
    (64, ["replay"], "Name a capture file"),
    (64, ["replay", "--port", "5432,many", MIX], "port"),
    (64, ["replay", "-f", "prot 5", MIX], "is not valid"),
    (65, ["replay", "Package.swift"], "is not a capture"),
    (66, ["replay", "{folder}/none.pcap"], "No such file"),
    (66, ["replay", "{folder}"], "directory"),
    (64, ["mirror", "plan", "--kind", "tee", "-i", "eth0", "--to", "mirror0"], "needs an IP address"),
    (64, ["mirror", "plan", "-i", "a b", "--to", "mirror0"], "no interface name"),
    (64, ["run"], "Name an interface"),
], ids=["no-file", "bad-port", "bad-filter", "not-a-capture", "missing-file", "folder", "address-for-tee", "bad-interface",
        "no-interface"])
def test_a_refusal_has_an_exit_code_and_says_what_is_wrong(told, tmp_path, code, words, text):
    assert text in told(code, *(word.format(folder=tmp_path) for word in words))


@pytest.mark.skipif(os.getuid() != 0, reason="whoever is not root is refused for that first")
def test_an_interface_that_is_not_there_is_named(told):
    assert "cannot capture on" in told(66, "run", "-i", f"no{os.getpid()}")


@pytest.mark.parametrize(("name", "text", "message"), [
    ("bad.yaml", "quota:\n  tires: {}\n", "bad.yaml:2:3: unknown key 'tires'"),
    ("prices.yaml", "pricing:\n  file: none.yaml\n", "prices.yaml:2:9: the price file 'none.yaml' cannot be read"),
])
def test_a_bad_configuration_is_refused_by_line_and_column(told, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    assert message in told(78, "replay", "--config", tmp_path / name, MIX)


def test_a_capture_is_read_from_a_pipe(pgweir):
    # `cat` and a pipe, as a file that is opened as standard input could be sought in.
    with subprocess.Popen(["cat", MIX], stdout=subprocess.PIPE) as source:
        done = subprocess.run([pgweir, "replay", "-"], stdin=source.stdout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "alice@shop" in done.stdout


def test_a_compressed_capture_is_read(told, tmp_path):
    with open(MIX, "rb") as file:
        (tmp_path / "mix.pcap.gz").write_bytes(gzip.compress(file.read()))
    assert "alice@shop" in told(0, "replay", tmp_path / "mix.pcap.gz")


def test_a_statement_gets_its_pattern(told):
    assert "select * from t where a = ?" in told(0, "fingerprint", input="SELECT * FROM t WHERE a=5\n")


def test_a_bad_line_of_statements_is_told_by_its_number(told):
    assert "line 1" in told(65, "fingerprint", "--input", "ndjson", input="nonsense\n")


def test_a_reader_that_goes_away_ends_the_program_quietly(pgweir):
    own, other = os.pipe()
    # Far less than the output, so that the program still writes when its reader is gone.
    assert fcntl.fcntl(own, fcntl.F_SETPIPE_SZ, 4096) == 4096
    with subprocess.Popen([pgweir, "replay", MIX, "--format", "ndjson"], stdout=other, stderr=subprocess.PIPE) as running:
        os.close(other)
        assert os.read(own, 1) == b"{"
        os.close(own)
        said = running.stderr.read()
        assert (running.wait(60), said) == (0, b"")


def test_any_number_of_workers_makes_the_same_report(told):
    reports = []
    for workers in range(1, 5):
        report = json.loads(told(0, "replay", os.path.join(CAPTURES, "pooled_apps_a.pcap"), "--format", "json", "--workers", workers))
        del report["performance"]
        # As text: the order of entries is part of the report.
        reports.append(json.dumps(report))
    assert '"users"' in reports[0]
    assert reports[1:] == [reports[0]] * 3
