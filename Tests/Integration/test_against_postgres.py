# SPDX-License-Identifier: Apache-2.0
"""Real traffic of a real PostgreSQL, captured by tcpdump: the replay counts what the server itself counted."""
import shutil
import signal
import subprocess

import pytest

import counting
from servers import process
from servers.process import Log, wait_for


@pytest.fixture
def capture(tmp_path):
    """tcpdump on the loopback interface: `capture(port)` begins, and what it gives ends the capture and says where it is."""
    if shutil.which("tcpdump") is None:
        pytest.skip("tcpdump is not installed; Scripts/bootstrap test brings it")
    running = []

    def begin(port):
        log, place = Log(tmp_path / "tcpdump.log"), tmp_path / "tap.pcap"
        with open(log.path, "wb") as file:
            running.append(process.start(["tcpdump", "-i", "lo", "-s", "0", "-B", "65536", "-U", "-Z", "root", "-w", str(place),
                                          f"tcp port {port}"], stdin=subprocess.DEVNULL, stdout=file, stderr=file))
        wait_for(lambda: "listening on" in log.since(), what="tcpdump listens", process=running[-1])

        def end(last):
            """Ends the capture once it has `last`, bytes of the last response."""
            wait_for(lambda: last in place.read_bytes(), what="the last response is captured", process=running[-1])
            process.stop(running[-1], signal.SIGTERM)
            assert "\n0 packets dropped by kernel" in log.since(), log.since()
            return str(place)
        return end
    yield begin
    for tcpdump in running:
        process.stop(tcpdump)


def test_a_replay_counts_what_the_server_counted(postgres, replay, capture):
    server = postgres(settings={"shared_preload_libraries": "pg_stat_statements"})
    counting.prepare(server)
    end = capture(server.port)
    server.ask("select pg_stat_statements_reset()", "shop")
    counting.traffic(server)
    # Put together by the server, so that these bytes are in its response alone.
    server.client("admin", "psql", "-X", "-c", "select 'the end ' || 'of the capture'")
    place = end(b"the end of the capture")
    rows = counting.statistics(server)
    for workers in ("1", "2"):
        report = replay(place, "--workers", workers)
        assert report["capture"]["gaps"] == 0 and report["statements"]["uncertain"] == 0, "the capture has gaps; tcpdump lost packets"
        counting.assert_same(rows, report)
