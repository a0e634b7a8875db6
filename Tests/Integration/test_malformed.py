# SPDX-License-Identifier: Apache-2.0
"""Damaged captures and texts that crashed other programs: each is read or refused, soon and in bounded memory.

A larger collection lies beside the checkout and is not shipped (PGWEIR_MALFORMED=FOLDER names another place); what is in
Fixtures is always read.
"""
import glob
import os
import resource
import subprocess
import tarfile

import pytest

from servers.daemon import CHECKOUT

COLLECTION = os.environ.get("PGWEIR_MALFORMED") or os.path.join(CHECKOUT, "../shared/captures/malformed")
# Far above what any of these files can ask for in good faith: seconds of the processor, which a busy machine does not use up,
# and bytes of address space.
SECONDS, SPACE = 10, 2 << 30
# By the clock, for a program that waits for ever.
PATIENCE = 300
MIX = os.path.join(CHECKOUT, "Fixtures/Captures/mix_a.pcap")


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def attempt(command, source=subprocess.DEVNULL):
    """None, or how the command failed. It may succeed, or say that what it reads is not a capture (65)."""
    try:
        done = subprocess.run(command, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE, check=False,
                              preexec_fn=limit)
    except subprocess.TimeoutExpired:
        return f"not within {PATIENCE} s: {command}"
    return None if done.returncode in (0, 65) else f"exit {done.returncode}: {command}: {done.stderr[:500].decode(errors='replace')}"


@pytest.mark.parametrize(("pattern", "is_shipped"), [
    (os.path.join(CHECKOUT, "Fixtures/Captures/*.pcap*"), True),
    (os.path.join(CHECKOUT, "Fixtures/Fuzz/Decoder/*"), True),
    (os.path.join(COLLECTION, "tcpdump/pcap/*"), False),
    (os.path.join(COLLECTION, "gopacket-fuzz/*"), False),
    (os.path.join(COLLECTION, "zeek-fuzz/*"), False),
], ids=["captures", "decoder-seeds", "tcpdump", "gopacket", "zeek"])
def test_a_capture_is_read_or_refused(pgweir, pattern, is_shipped):
    files = sorted(filter(os.path.isfile, glob.glob(pattern)))
    if not files and not is_shipped:
        pytest.skip(f"{pattern} is not here")
    assert files, f"{pattern} fits no file"
    failures = [failure for file in files if (failure := attempt([pgweir, "replay", file, "--format", "json", "--workers", "2"]))]
    assert not failures, f"{len(failures)} of {len(files)}: {failures[:5]}"


def test_texts_that_crashed_other_parsers_get_patterns(pgweir, tmp_path):
    archive = os.path.join(COLLECTION, "sql-fuzz.tar.gz")
    if not os.path.exists(archive):
        pytest.skip(f"{archive} is not here")
    count = 0
    with tarfile.open(archive) as source, open(tmp_path / "statements", "wb") as statements:
        for member in source:
            if member.isfile() and "fuzz" in member.name:
                statements.write(source.extractfile(member).read())
                count += 1
    assert count > 0
    with open(tmp_path / "statements", "rb") as statements:
        assert attempt([pgweir, "fingerprint"], statements) is None


def test_memory_is_taken_for_what_has_come_not_for_what_was_announced(pgweir, tmp_path):
    """A hole of 1 GiB behind a record's header."""
    with open(MIX, "rb") as file:
        head = file.read(24)
    (tmp_path / "hole.pcap").write_bytes(head + bytes(8) + b"\xff\xff\xff\x3f" * 2)
    assert attempt([pgweir, "replay", str(tmp_path / "hole.pcap"), "--format", "json"]) is None


def test_the_limits_of_this_test_can_be_exceeded(tmp_path):
    """Else all above would pass whatever a program does."""
    assert attempt(["python3", "-c", "bytearray(3 << 30)"]) is not None
    assert attempt(["python3", "-c", "raise SystemExit(139)"]) is not None
