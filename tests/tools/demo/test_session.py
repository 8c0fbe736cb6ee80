"""A run on a real server: every job is accounted for, and what the jobs found out is true."""

from __future__ import annotations

import ast
import hashlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import PrivateServer
from workkit import Client, ServerUnavailable
from workkit.embedded import EmbeddedServer
from workkit.tools.demo import session as session_module
from workkit.tools.demo.display import PlainDisplay, Progress
from workkit.tools.demo.session import Session
from workkit.tools.demo.workload import SourceFile, Workload, find_sources, source_roots


def workload(limit: int) -> Workload:
    roots = source_roots()
    return Workload.choose(roots, find_sources(roots), limit)


@contextmanager
def session(
    redis: str, namespace: str, files: Workload, display: PlainDisplay | None = None
) -> Iterator[Session]:
    shown = display or PlainDisplay(io.StringIO())
    run = Session(redis, namespace, files, 4, shown, threading.Event())
    try:
        yield run
    finally:
        run.close()


def parses(file: SourceFile) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(Path(file.path).read_bytes())
        except SyntaxError:
            return False
    return True


@pytest.mark.slow
def test_a_run_accounts_for_every_job_and_its_findings_are_true(
    redis_url: str, namespace: str
) -> None:
    files = workload(80)
    stream = io.StringIO()
    with session(redis_url, namespace, files, PlainDisplay(stream)) as run:
        report = run.run()
    client = Client(namespace, redis_url)

    good = [file for file in files.files if parses(file)]
    wrong = {file.name for file in files.files} - {file.name for file in good}
    assert report.problems == []
    assert report.complete
    assert report.left == 0
    assert {row.name: row.accepted for row in report.jobs}["parse_file"] == sum(
        not file.is_large for file in files.files
    )
    assert report.total.dead == len(wrong)
    assert sum(row.failures for row in report.errors) == 3 * len(wrong)
    assert report.total.retried == 2 * len(wrong)

    # The dead are those that do not parse, with the parser's own words.
    dead = list(client.iter_dead_jobs())
    assert {(found.job.args or {})["name"] for found in dead} == wrong
    assert all(found.job.last_err.startswith("SyntaxError: ") for found in dead)
    assert sum(row.dead for row in report.errors) == len(wrong)
    assert stream.getvalue().count("dead after 3 tries: ") == len(wrong)

    assert report.parsed.files == len(good)
    assert report.parsed.size == sum(file.size for file in good)
    assert sum(package.files for package in report.packages.values()) == len(good)
    whole = b"".join(Path(file.path).read_bytes() for file in files.files)
    assert report.digest == hashlib.sha256(whole).hexdigest()

    # Each file asked for a report of its package; those that were not refused have run.
    reports = {row.name: row for row in report.jobs}["package_report"]
    assert reports.accepted + report.refused == len(good)
    assert reports.done == reports.accepted >= len(report.packages)
    assert report.at_once <= report.at_once_limit == 2

    assert client.worker_pool_heartbeats() == []
    client.close()


@pytest.mark.one_server
def test_a_run_that_is_stopped_reports_how_far_it_came(redis_url: str, namespace: str) -> None:
    class Impatient(PlainDisplay):
        def show(self, progress: Progress) -> None:
            del progress
            run.stop.set()

    with session(redis_url, namespace, workload(600), Impatient(io.StringIO())) as run:
        report = run.run()
    assert not report.complete
    assert report.problems == []
    assert report.left > 0
    assert report.total.accepted >= 600


@pytest.mark.slow
@pytest.mark.one_server
def test_a_server_that_dies_ends_the_run(
    private_server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: EmbeddedServer = private_server()
    monkeypatch.setattr(session_module, "_PATIENCE_S", 0.1)

    class Killer(PlainDisplay):
        def show(self, progress: Progress) -> None:
            del progress
            server.kill()

    stream = io.StringIO()
    with (
        session(server.url, "demo", workload(200), Killer(stream)) as run,
        pytest.raises(ServerUnavailable, match=r"server\.sock"),
    ):
        run.run()
    assert "log: dispatcher: no answer from Redis" in stream.getvalue()


@pytest.mark.slow
@pytest.mark.one_server
def test_a_pool_that_goes_on_processes_what_others_retry(redis_url: str, namespace: str) -> None:
    """With --keep, `workkit retry --all` is answered."""
    (good, *_) = (file for file in workload(80).files if not file.is_suspect)
    files = Workload((), (good,), found=1, over_limit=0, over_size=0)
    told = threading.Event()

    class Listener(PlainDisplay):
        def note(self, text: str) -> None:
            super().note(text)
            told.set()

    stream = io.StringIO()
    with session(redis_url, namespace, files, Listener(stream)) as run:
        thread = threading.Thread(target=run.go_on)
        thread.start()
        enqueuer = run._desk.enqueuer
        enqueuer.enqueue("parse_file", {"path": "/nowhere.py", "name": "nowhere.py"})
        assert told.wait(60)
        run.stop.set()
        thread.join()
    assert "dead after 3 tries: nowhere.py: FileNotFoundError" in stream.getvalue()
