"""A run on a real server: every job is in the account, and the results of the jobs are true."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import PrivateServer
from workkit import Client, ServerUnavailable
from workkit.core.records import Overview
from workkit.embedded import EmbeddedServer
from workkit.tools.demo.display import DemoDisplay
from workkit.tools.demo.session import DemoSession
from workkit.tools.demo.workload import (
    LARGE_BYTES,
    SourceFile,
    Workload,
    find_sources,
    source_roots,
)


def workload(limit: int) -> Workload:
    return Workload.choose(find_sources(source_roots()), limit)


@contextmanager
def session(
    redis: str, namespace: str, files: Workload, display: DemoDisplay
) -> Iterator[DemoSession]:
    run = DemoSession(redis, namespace, files, 4, display, threading.Event())
    try:
        yield run
    finally:
        run.close()


def parses(file: SourceFile) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(Path(file.path).read_bytes(), file.path, "exec", dont_inherit=True)
        except SyntaxError:
            return False
    return True


@pytest.mark.slow
def test_a_run_accounts_for_every_job_and_its_findings_are_true(
    redis_url: str, namespace: str
) -> None:
    files = workload(80)
    stream = io.StringIO()
    with session(redis_url, namespace, files, DemoDisplay(stream)) as run:
        account = run.run()
    client = Client(namespace, redis_url)

    good = [file for file in files.files if parses(file)]
    wrong = {file.name for file in files.files} - {file.name for file in good}
    assert account.problems() == []
    assert account.complete
    total = account.counts()
    assert total["left"] == 0
    for name, large in (("parse_file", False), ("parse_large_file", True)):
        expected = sum((file.size > LARGE_BYTES) is large for file in files.files)
        assert account.counts(name)["enqueued"] == expected

    # The dead are those that do not parse, with the parser's own words.
    dead = list(client.iter_dead_jobs())
    assert [found.job.last_err for found in dead if "SyntaxError: " not in found.job.last_err] == []
    assert total["dead"] == len(wrong)
    assert {(found.job.args or {})["name"] for found in dead} == wrong
    retried = Counter(record.job_id for record in account.history if record.outcome == "retry")
    assert [retried[found.job.id] for found in dead] == [2] * len(wrong)
    assert not any("<unknown>" in found.job.last_err for found in dead)
    assert stream.getvalue().count("dead after 3 tries: ") == len(wrong)

    reports = dict(account.state.reports)
    parsed = reports.pop("")
    assert parsed["files"] == len(good) == sum(counts["files"] for counts in reports.values())
    assert parsed["bytes"] == sum(file.size for file in good)
    whole = b"".join(Path(file.path).read_bytes() for file in files.files)
    assert account.state.digest == hashlib.sha256(whole).hexdigest()

    # Each file asked for a report of its package; those that were not refused have run.
    of_packages = account.counts("package_report")
    assert of_packages["enqueued"] + account.state.refused == len(good)
    assert of_packages["done"] == of_packages["enqueued"] >= len(reports)

    # The scheduled job came back until all files were parsed; the cron job ran by itself.
    assert account.counts("summary")["done"] >= 2
    assert account.counts("pulse")["done"] == len(account.state.waiting) >= 1

    assert client.worker_pool_heartbeats() == []
    client.close()


@pytest.mark.one_server
def test_a_run_that_is_stopped_reports_how_far_it_came(redis_url: str, namespace: str) -> None:
    class Impatient(DemoDisplay):
        def show(self, elapsed_s: float, done: int, total: int, seen: Overview) -> None:
            run.stop.set()

    with session(redis_url, namespace, workload(600), Impatient(io.StringIO())) as run:
        account = run.run()
    assert not account.complete
    assert account.problems() == []
    assert account.counts()["left"] > 0
    assert account.counts()["enqueued"] >= 600


@pytest.mark.slow
@pytest.mark.one_server
def test_a_server_that_dies_ends_the_run(private_server: PrivateServer) -> None:
    server: EmbeddedServer = private_server()

    class Killer(DemoDisplay):
        def show(self, elapsed_s: float, done: int, total: int, seen: Overview) -> None:
            server.kill()

    logged = len(logging.getLogger("workkit").filters)
    with (
        session(server.url, "demo", workload(200), Killer(io.StringIO())) as run,
        pytest.raises(ServerUnavailable, match=r"server\.sock"),
    ):
        run.run()
    assert len(logging.getLogger("workkit").filters) == logged


@pytest.mark.one_server
def test_what_the_engine_logs_is_shown_but_not_the_failures_of_jobs(
    redis_url: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Logging(DemoDisplay):
        def show(self, elapsed_s: float, done: int, total: int, seen: Overview) -> None:
            log = logging.getLogger("workkit")
            log.warning("no answer from Redis")
            log.warning("a job failed", extra={"outcome": "retry"})
            run.stop.set()

    stream = io.StringIO()
    with session(redis_url, namespace, Workload((), 0, 0), Logging(stream)) as run:
        run.run()
    assert stream.getvalue() == "log: no answer from Redis\n"
    assert caplog.records == []


@pytest.mark.slow
@pytest.mark.one_server
def test_a_pool_that_goes_on_processes_what_others_retry(redis_url: str, namespace: str) -> None:
    """With --keep, `workkit retry --all` is answered."""
    (good, *_) = (file for file in workload(80).files if not file.is_suspect)
    told = threading.Event()

    class Listener(DemoDisplay):
        def note(self, text: str) -> None:
            super().note(text)
            told.set()

    stream = io.StringIO()
    with session(redis_url, namespace, Workload((good,), 0, 0), Listener(stream)) as run:
        thread = threading.Thread(target=run.go_on)
        thread.start()
        enqueuer = run._state.enqueuer
        enqueuer.enqueue("parse_file", {"path": "/nowhere.py", "name": "nowhere.py"})
        assert told.wait(60)
        run.stop.set()
        thread.join()
    assert "dead after 3 tries: nowhere.py: FileNotFoundError" in stream.getvalue()
