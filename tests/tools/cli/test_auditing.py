"""`workkit audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulation.replay.pasts import START_MS, past_of
from tests.tools.cli.shell import Shell, put, run_some
from workkit import frames

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

JOB = {"run": 1.0, "job_id": "a", "name": "x\x1b[2Jy[red]"}


def written(tmp_path: Path, rows: list[dict[str, object]]) -> str:
    path = tmp_path / "history.parquet"
    frames.write(past_of(rows), path, "history")
    return str(path)


def test_a_clean_history_exits_with_0(shell: Shell) -> None:
    run_some(shell, 5)
    lines = shell.lines("audit")
    assert lines[0].startswith(f"{shell.namespace} at ")
    assert ": 6 executions of 6 jobs, 20" in lines[0]
    assert lines[-1] == "all rules hold"
    found = shell.json("audit")
    assert (found["records"], found["jobs"], found["counts"], found["findings"]) == (6, 6, {}, [])


def test_what_is_found_is_named_and_exits_with_1(shell: Shell, tmp_path: Path) -> None:
    path = written(tmp_path, [JOB | {"at": 0.0}, JOB | {"at": 50.0}])
    result = shell.run("audit", path, code=1)
    assert "\x1b" not in result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{path}: 2 executions of 1 job, 2027-01-15T")
    assert lines[2].split() == ["RULE", "WHEN", "NAME", "JOB", "ID", "WHAT"]
    assert lines[3].startswith("duplicate  2027-01-15T")
    assert r"x\x1b[2Jy[red]  a       ran again, 49s after it had ended" in lines[3]
    assert lines[5].startswith("duplicate: 1 finding; the rule is: a job that has ended does not")
    assert result.stderr == "limits are not in history: give those that you have\n"
    found = shell.json("audit", path, code=1)
    assert found["counts"] == {"duplicate": 1}
    assert found["findings"] == [
        {"rule": "duplicate", "what": "ran again, 49s after it had ended", "job_id": "a",
         "name": JOB["name"], "at": START_MS / 1_000 + 50}
    ]  # fmt: skip


def test_options_say_what_history_does_not(shell: Shell, tmp_path: Path) -> None:
    rows = [
        {"at": 0.0, "run": 9.0, "job_id": f"{n}", "name": "a=b", "worker_id": f"w{n}"}
        for n in range(3)
    ]
    path = written(tmp_path, rows)
    assert shell.json("audit", path)["counts"] == {}
    found = shell.json("audit", path, "--limit", "a=b=2", "--show", "0", code=1)
    assert (found["counts"], found["findings"]) == ({"limit": 1}, [])
    retried = [
        JOB | {"at": 0.0, "outcome": "retry", "fails": 1},
        JOB | {"at": 9.0, "fails": 1},
    ]
    path = written(tmp_path, retried)
    assert shell.json("audit", path)["counts"] == {}
    assert shell.json("audit", path, "--backoff", "default", code=1)["counts"] == {"retry": 1}
    assert shell.json("audit", path, "--backoff", "1m", "--slack", "1m")["counts"] == {}


def test_a_server_shows_jobs_that_are_gone(shell: Shell, redis_client: Redis) -> None:
    from workkit import Job, WorkerPool

    pool = WorkerPool(shell.namespace, shell.url, concurrency=1)

    @pool.job(backoff=lambda job: 3_600)
    def fails(job: Job) -> None:
        raise ValueError("no luck")

    job = shell.enqueuer.enqueue("fails")
    with pool:
        assert pool.drain(10).complete
    put(redis_client, shell.namespace, "retry", START_MS // 1_000)
    assert shell.json("audit", shell.url, "--namespace", shell.namespace)["counts"] == {}
    redis_client.delete(f"{shell.namespace}:retry")
    (finding,) = shell.json("audit", code=1)["findings"]
    assert (finding["rule"], finding["job_id"], finding["name"]) == ("lost", job.id, "fails")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "there is no file or directory 'nowhere'; give an archive, a snapshot"),
        (["--limit", "mail"], "'mail' is not valid; write NAME=N, such as mail=2"),
        (["--limit", "mail=many"], "'mail=many' is not valid"),
        (["--backoff", "soon"], "'soon' is not a span of time"),
        (["--since", "soon"], "'soon' is not a time"),
    ],
)
def test_a_mistake_is_named_in_one_line(shell: Shell, args: list[str], message: str) -> None:
    said = shell.complaint("audit", *args, code=2)
    assert message in said
    assert "Traceback" not in said


def test_a_directory_that_is_no_archive_is_refused(shell: Shell, tmp_path: Path) -> None:
    assert "is not an archive" in shell.complaint("audit", str(tmp_path), code=2)
    (tmp_path / "day=2026-01-01").mkdir()
    (tmp_path / "day=2026-01-01" / "mine.parquet").write_bytes(b"x")
    assert "does not belong to an archive" in shell.complaint("audit", str(tmp_path), code=2)
    assert "no answer from Redis" in shell.complaint("audit", "redis://localhost:1", code=69)
