# SPDX-License-Identifier: Apache-2.0
"""systemd's watchdog (sd_notify(3)): signs of life go on while services wait."""
import contextlib
import os
import socket
import sqlite3

import pytest
from servers import free_port, wait_for


@pytest.fixture
def systemd(tmp_path):
    """A socket as systemd's; `signs()` takes the signs of life that have come since it was last asked."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as one:
        one.bind(str(tmp_path / "notify"))
        one.setblocking(False)

        def signs():
            count = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    count += one.recv(500) == b"WATCHDOG=1"
            return count
        one_second = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        yield one_second, signs


def test_signs_of_life_go_on_while_clients_of_the_socket_wait_for_a_store(daemon, systemd):
    environment, signs = systemd
    watcher = daemon(free_port(), environment=environment)
    wait_for(signs, what="the first sign of life", process=watcher.process)
    clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(30)]
    # Each answer waits two seconds for another process that writes.
    with contextlib.closing(sqlite3.connect(os.path.join(watcher.state, "history.sqlite"), isolation_level=None)) as other:
        other.execute("begin exclusive")
        try:
            for client in clients:
                client.connect(watcher.socket)
                client.sendall(b"quota do=history\n")
                client.setblocking(False)
            unanswered = set(clients)

            def answered():
                for client in list(unanswered):
                    with contextlib.suppress(BlockingIOError):
                        client.recv(1)
                        unanswered.remove(client)
                return len(unanswered) < len(clients)
            wait_for(answered, what="the first answer", process=watcher.process)
            signs()
            wait_for(signs, what="a sign of life", process=watcher.process)
            answered()
            assert unanswered, "signs of life came only when all were answered"
        finally:
            other.execute("rollback")
            for client in clients:
                client.close()
