"""The log of `workkit worker`: each line names its job, and nobody can forge a line."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any, Final

import pytest

from workkit import Client, Enqueuer, Job, WorkerPool
from workkit.tools.cli.common.logs import WorkerLogging

pytestmark = pytest.mark.one_server

#: Characters that move a cursor, ring, or begin a line.
EVIL: Final = (
    "\x1b[31mred \x9b2J \x07 \u202egnp \r2026 INFO workkit: stopped\n2026 INFO workkit: forged"
)


@pytest.fixture
def logs() -> Iterator[Any]:
    """Set up the logging of a worker, and restore the earlier logging."""
    loggers = (logging.getLogger(), logging.getLogger("workkit"))
    levels = [logger.level for logger in loggers]

    def make(*, as_json: bool) -> None:
        for logger in loggers:
            logger.handlers = []  # pytest's own come and go with each phase of a test
        WorkerLogging(None, as_json=as_json).application_loaded()

    yield make
    for logger, level in zip(loggers, levels, strict=True):
        logger.handlers = []
        logger.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.split("\n")[:-1]


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(capsys)]


@pytest.mark.parametrize("as_json", [False, True])
def test_text_of_others_moves_no_cursor_and_begins_no_line(
    logs: Any, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    logs(as_json=as_json)
    logger, error = logging.getLogger(f"shop{EVIL}"), ValueError(EVIL)
    logger.error("failed: %s", EVIL, extra={"args_of": EVIL}, exc_info=error)
    written = lines(capsys)
    assert all(line.isprintable() for line in written)
    if as_json:
        assert len(written) == 1
        assert "forged" in json.loads(written[0])["traceback"]
    else:
        assert [line for line in written if not line.startswith("    ")] == written[:1]
        assert any("ValueError" in line for line in written)


def test_what_was_given_as_extra_is_in_the_json(
    logs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    logs(as_json=True)
    endless: list[Any] = []
    endless.append(endless)

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

    facts = {
        "order": 7, "level": "high", "odd": {1: float("nan"), "list": (True, None)},
        "endless": endless, "mute": Mute(), "huge": 10**5_000,
    }  # fmt: skip
    logging.getLogger("shop").warning("late", extra=facts)
    (record,) = records(capsys)
    assert (record["order"], record["level"], record["level_"]) == (7, "warning", "high")
    assert record["odd"] == {"1": "nan", "list": [True, None]}
    assert "Mute" in record["mute"]
    assert {"endless", "huge"} < set(record)


def test_a_line_that_cannot_be_formatted_says_so(
    logs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    logs(as_json=False)
    logging.getLogger("shop").warning("%d items", "many")
    (line,) = lines(capsys)
    assert line.endswith("'%d items' could not be formatted: TypeError")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("kind", ["sync", "async", "async behind sync", "sync behind async"])
def test_lines_within_a_handler_name_its_job(
    logs: Any,
    capsys: pytest.CaptureFixture[str],
    redis_url: str,
    namespace: str,
    kind: str,
    as_json: bool,
) -> None:
    logs(as_json=as_json)
    pool, log = WorkerPool(namespace, redis_url, concurrency=2), logging.getLogger("shop")

    def sync(job: Job) -> None:
        log.info("at %d", job.arg_int("n"))

    async def coroutine(job: Job) -> None:
        await asyncio.to_thread(log.info, "at %d", job.arg_int("n"))

    pool.job("work", sync if kind.startswith("sync") else coroutine)
    if kind == "async behind sync":
        pool.middleware(lambda job, proceed: proceed())
    if kind == "sync behind async":

        @pool.middleware
        async def around(job: Job, proceed: Any) -> None:
            await proceed()

    jobs = Enqueuer(namespace, redis_url).enqueue_many([("work", {"n": n}) for n in range(5)])
    with pool:
        assert pool.drain(20).complete
    log.info("outside")
    if as_json:
        names = ("job_name", "job_id", "job_attempt")
        found = {
            record["message"]: tuple(record.get(name) for name in names)
            for record in records(capsys)
            if record["logger"] == "shop"
        }
        expected = {f"at {n}": ("work", job.id, 1) for n, job in enumerate(jobs)}
        assert found == expected | {"outside": (None, None, None)}
    else:
        written = lines(capsys)
        for n, job in enumerate(jobs):
            line = f"[work {job.id} attempt 1] INFO    shop: at {n}"
            assert [each for each in written if each.endswith(line)]
        assert written[-1].endswith("+00:00 INFO    shop: outside")


def test_the_librarys_own_facts_are_in_the_json(
    logs: Any, capsys: pytest.CaptureFixture[str], redis_url: str, namespace: str
) -> None:
    logs(as_json=True)
    pool = WorkerPool(namespace, redis_url)
    pool.job("work", lambda job: 1 / 0, max_fails=1)
    job = Enqueuer(namespace, redis_url).enqueue("work")
    with pool:
        assert pool.drain(20).complete
    (record,) = [r for r in records(capsys) if r["level"] == "warning"]
    facts = {name: record[name] for name in ("job_name", "job_id", "fails", "outcome")}
    assert facts == {"job_name": "work", "job_id": job.id, "fails": 1, "outcome": "dead"}
    assert Client(namespace, redis_url).dead_jobs().total == 1


def test_a_record_on_its_way_while_the_application_is_loaded_is_written_once(
    logs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    logs(as_json=True)
    own = logging.getLogger("workkit")
    logging.getLogger().handlers = []
    worker = WorkerLogging(None, as_json=True)

    class Loads(logging.Handler):
        """Stands for the thread that loads the application while another delivers the record."""

        def emit(self, record: logging.LogRecord) -> None:
            own.removeHandler(self)
            worker.application_loaded()

    own.addHandler(Loads())
    for message in ("first", "second"):
        own.warning(message)
    assert [record["message"] for record in records(capsys)] == ["first", "second"]
    own.handlers = []
    logging.getLogger().handlers = []
    worker = WorkerLogging(None, as_json=True)
    own.handlers.insert(0, Loads())
    own.warning("third")
    assert [record["message"] for record in records(capsys)] == ["third"]
