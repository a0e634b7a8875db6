# SPDX-License-Identifier: Apache-2.0
"""Drivers' own tests through the relay: a slice of them as a rule, all with PGWEIR_LONG=1 (see `driver-suites`)."""
import os
import subprocess
import sys

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "driver-suites")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_drivers_tests_fail_through_the_relay_only_where_they_fail_directly(pgweir, driver, long):
    words = [sys.executable, SCRIPT, "--only", driver]
    words += [] if long else ["--ways", "plain,ended", "--select", "cancel or test_copy_from or scram" if driver == "asyncpg" else "cancel"]
    done = subprocess.run(words, env={**os.environ, "PGWEIR": pgweir}, capture_output=True, text=True, timeout=7200, check=False)
    print(done.stdout)
    if "skipped: " in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
