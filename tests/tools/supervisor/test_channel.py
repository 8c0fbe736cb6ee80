"""The messages between a supervisor and its processes."""

from __future__ import annotations

import json
import os
import socket

import pytest

from workkit import WorkerPool
from workkit.tools.supervisor import child
from workkit.tools.supervisor.channel import ChildReport, Lines, announce, inherited


def test_a_process_finds_its_end_once_and_passes_it_on_to_nobody() -> None:
    ours, theirs = socket.socketpair()
    environment = {"PATH": "/bin"} | announce(theirs, 3)
    os.set_inheritable(theirs.fileno(), True)
    found = inherited(environment)
    theirs.detach()
    assert found is not None
    assert environment == {"PATH": "/bin"}
    assert inherited(environment) is None
    with ours, found.channel as channel:
        assert found.slot == 3
        assert not channel.get_inheritable()
        ours.sendall(b"retire\n")
        assert channel.recv(100) == b"retire\n"


def test_lines_are_whole_however_they_arrive() -> None:
    ours, theirs = socket.socketpair()
    lines = Lines()

    def read(sent: bytes) -> list[str]:
        ours.sendall(sent)
        return list(lines.read(theirs) or ["the end"])

    with theirs:
        with ours:
            assert read(b"ready\n12") == ["ready"]
            assert list(read(b" 34\n1") or []) == ["12 34"]
        assert lines.read(theirs) is None


def test_a_channel_that_breaks_is_at_its_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"unread")
        ours.close()  # what was not read breaks the stream
        assert Lines().read(theirs) is None


def test_a_report_is_read_as_it_was_written() -> None:
    assert ChildReport.read(str(ChildReport(jobs=7, rss_bytes=1 << 40))) == ChildReport(7, 1 << 40)


def test_memory_that_is_taken_and_given_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    before = child.resident_bytes()
    taken = bytearray(os.urandom(1 << 20) * 64)
    assert child.resident_bytes() - before > 32 << 20
    del taken
    monkeypatch.setattr(child, "_STATM", child._STATM / "nowhere")
    assert child.resident_bytes() - before > 32 << 20, "without /proc it is the most ever taken"


def test_what_a_process_says_is_dropped_where_nobody_listens() -> None:
    ours, theirs = socket.socketpair()
    lonely = child.Child(theirs, 1, None)
    ours.close()
    lonely._say("ready")
    theirs.close()


def test_a_process_says_that_its_pool_is_ready_before_it_replaces_another(
    redis_url: str, namespace: str
) -> None:
    """Else no process would be ready between the stop of the old one and the next message."""
    pool = WorkerPool(namespace, redis_url)
    pool.job("mail", lambda job: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        supervised = child.Child(theirs, 1, 0.0)
        supervised._request(child._Stop("at once", 0.0))
        assert supervised.run(pool, report=False)
        said = list(Lines().read(ours) or [])
    first = said[: said.index("ready")]
    assert [json.loads(line.removeprefix("health "))["obstacles"] for line in first] == [[]]
