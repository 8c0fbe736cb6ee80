"""Exports without the values of secrets."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import WaitUntil
from tests.tools.cli.shell import Shell, now_s, put
from workkit import HistoryOptions, Job, WorkerPool, frames
from workkit.admin.explain import why
from workkit.core.records import Place
from workkit.snapshot import RedactedReader

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

SECRET = "hunter-2-hunter"  # noqa: S105 - the tests' own
ARGS = {"password": SECRET, "mail": f"Dear {SECRET}", "n": 1}
FRAMES = ["history", "attempts", "dead", "retry", "scheduled", "errors"]


@pytest.fixture(name="whole")
def whole_namespace(shell: Shell, redis_client: Redis) -> None:
    """Put a job with a secret in each place, and let one die of it."""
    for place in ("retry", "scheduled"):
        put(
            redis_client, shell.namespace, place, now_s() + 3_600, id=place, args=ARGS, fails=1,
            err=f"ValueError: no {SECRET}", unique=True,
            unique_key=f"{shell.namespace}:unique:import_rows:{SECRET}",
        )  # fmt: skip
    pool = WorkerPool(shell.namespace, shell.url, history=HistoryOptions(args=True, checkins=True))

    @pool.job(max_fails=1)
    def charge(job: Job) -> None:
        job.checkin(f"with {job.arg_str('password')}")
        raise ValueError(f"{job.arg_str('password')} was declined")

    shell.enqueuer.enqueue("charge", ARGS)
    with pool:
        pool.drain(60)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("what", FRAMES)
def test_no_export_has_the_value_of_a_secret(shell: Shell, tmp_path: Path, what: str) -> None:
    kept, clean = tmp_path / "kept.jsonl", tmp_path / "clean.jsonl"
    shell.run("export", what, "--out", str(kept), "--keep-secrets")
    shell.run("export", what, "--out", str(clean))
    assert SECRET in kept.read_text()
    assert SECRET not in clean.read_text()
    assert "[redacted]" in clean.read_text()
    assert len(frames.read(clean, what)) == len(frames.read(kept, what))


def test_an_export_of_workers_has_no_secret_of_running_jobs(
    shell: Shell, tmp_path: Path, wait_until: WaitUntil
) -> None:
    pool, release = WorkerPool(shell.namespace, shell.url), threading.Event()

    @pool.job
    def hold(job: Job) -> None:
        job.checkin(f"with {job.arg_str('password')}")
        release.wait(60)

    shell.enqueuer.enqueue("hold", ARGS)
    with pool:
        wait_until(lambda: any(seen.checkin for seen in shell.client.worker_observations()))
        out = tmp_path / "workers.jsonl"
        shell.run("export", "workers", "--out", str(out))
        release.set()
    (busy,) = frames.read(out, "workers").query("busy").to_dict("records")
    assert busy["checkin"] == "with [redacted]"
    assert SECRET not in out.read_text()


@pytest.mark.usefixtures("whole")
def test_one_failure_stays_one_group_without_its_secret(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "errors.csv"
    shell.run("export", "errors", "--out", str(out))
    declined = frames.read(out, "errors").query("example.str.contains('declined')")
    assert len(declined) == 1


def test_further_keys_are_left_out_on_request(
    shell: Shell, redis_client: Redis, tmp_path: Path
) -> None:
    put(redis_client, shell.namespace, "dead", now_s(), id="d", args={"colour": "ultramarine"})
    out = tmp_path / "dead.csv"
    shell.run("export", "dead", "--out", str(out))
    assert "ultramarine" in out.read_text()
    shell.run("export", "dead", "--out", str(out), "--redact", "col*", "--force")
    assert "ultramarine" not in out.read_text()


@pytest.mark.usefixtures("whole")
def test_an_archive_is_exported_as_it_was_written(shell: Shell, tmp_path: Path) -> None:
    archive, out = str(tmp_path / "archive"), str(tmp_path / "out.csv")
    shell.run("archive", "--to", archive)
    complaint = shell.complaint(
        "export", "history", "--from", archive, "--out", out, "--redact", "colour", code=2
    )
    assert "give --redact to workkit archive" in complaint
    shell.run("export", "history", "--from", archive, "--out", out)
    assert SECRET not in Path(out).read_text()


@pytest.mark.usefixtures("whole")
def test_a_reader_without_secrets_reads_all_that_another_one_does(shell: Shell) -> None:
    reader = RedactedReader(shell.client)
    found = reader.find("retry")
    assert found is not None
    shown = [
        *reader.jobs(Place("retry")).jobs,
        *reader.history(),
        *reader.recent_history(),
        *reader.job_history(next(iter(reader.history())).job_id),
        found,
    ]
    assert SECRET not in repr([getattr(each, "job", each) for each in shown])
    whole = shell.client.find("retry")
    assert whole is not None
    expected = why(whole, shell.client.circumstances(whole))
    assert why(found, reader.circumstances(found)) == expected
