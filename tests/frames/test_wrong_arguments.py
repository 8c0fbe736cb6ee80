"""An argument of a wrong type or out of its range is refused with its name, by all functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest

from tests.support.busy_day import busy_day
from tests.support.queueing import history_of
from tests.support.recorded import Recorded
from workkit import InvalidOption, NoEstimate, frames, plots
from workkit.frames.schema import empty
from workkit.snapshot import Redaction

WRONG: Final[tuple[Any, ...]] = (0, -1, float("nan"), float("inf"), 10**400, True, [], {}, object())
TEXTS: Final[tuple[Any, ...]] = ("", "x", "-5", "1e9999", "\0", b"x", ["a", 1])


@cache
def day() -> Any:
    return busy_day()


@cache
def two_periods() -> tuple[Any, Any]:
    at = day()["finished_at"].median().timestamp()
    return (None, at), (at, None)


def compared(**given: Any) -> Any:
    failed = day()["outcome"] != "done"
    return frames.compare(day()[failed], day()[~failed], **given)


def periods(**given: Any) -> Any:
    before, after = two_periods()
    return frames.compare_periods(day(), **{"before": before, "after": after, **given})


ARGUMENTS: Final[dict[str, tuple[Callable[..., Any], tuple[str, ...]]]] = {
    "throughput": (frames.throughput, ("freq", "by", "since", "until")),
    "latency_quantiles": (frames.latency_quantiles, ("by", "quantiles")),
    "compare": (lambda _, **given: compared(**given), ("least", "rate")),
    "compare_periods": (
        lambda _, **given: periods(**given), ("before", "after", "least", "rate"),
    ),
    "regressions": (frames.regressions, ("least", "rate")),
    "capacity": (frames.capacity, ("workers",)),
    "slo": (frames.slo, ("wait", "target", "by")),
    "errors": (frames.errors, ("since",)),
    "attempts": (frames.attempts, ("since", "until")),
    "journeys": (frames.journeys, ("since", "until", "parent")),
    "audit": (frames.audit, ("since", "limits")),
    "throughput, drawn": (plots.throughput, ("freq", "by", "marks", "gaps", "tz")),
    "latency, drawn": (plots.latency, ("freq", "quantiles", "tz")),
    "histogram": (plots.latency_histogram, ("by",)),
    "waterfall": (plots.attempts, ("job_id", "tz")),
    "workers": (plots.workers, ("most", "tz", "marks")),
    "utilisation": (plots.utilisation, ("freq", "by")),
    "concurrency": (plots.concurrency, ("freq", "limits")),
    "errors, drawn": (plots.errors, ("freq", "most")),
    "depth": (plots.queue_depth, ("freq",)),
    "burn_rate": (plots.burn_rate, ("wait", "target")),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_wrong_argument_is_refused_and_never_a_traceback(name: str) -> None:
    function, arguments = ARGUMENTS[name]
    for argument in arguments:
        refused = 0
        for wrong in (*WRONG, *TEXTS):
            try:
                function(day(), **{argument: wrong})
            except (InvalidOption, NoEstimate):
                refused += 1
        assert refused >= 10, argument


@pytest.mark.parametrize("wrong", [*WRONG, *TEXTS, None])
def test_a_wrong_argument_of_an_archive_or_a_file_is_refused(tmp_path: Path, wrong: Any) -> None:
    past: Any = Recorded()
    past.write_jobs(3)
    frames.archive(past, tmp_path)
    for read in (
        lambda: frames.history(tmp_path, name=wrong),
        lambda: frames.scan(tmp_path, since=wrong),
        lambda: frames.scan(tmp_path, name=wrong),
        lambda: frames.scan(tmp_path, outcome=wrong),
        lambda: frames.scan(tmp_path, columns=wrong),
        lambda: frames.write(empty("queues"), tmp_path / "x.csv", wrong),
        lambda: frames.write(wrong, tmp_path / "x.csv", "queues"),
        lambda: frames.read(tmp_path / "x.csv", "queues", wrong),
        lambda: Redaction(wrong),
    ):
        try:
            read()
        except (InvalidOption, FileNotFoundError):
            continue
    if not isinstance(wrong, str) or "\0" in wrong:
        for change in (frames.compact, frames.archive_gaps, lambda it: frames.archive(past, it)):
            with pytest.raises(InvalidOption):
                change(wrong)
        if not isinstance(wrong, str):
            with pytest.raises(InvalidOption, match="a path must be a text"):
                frames.write(empty("queues"), wrong, "queues")


def test_what_is_forgotten_most_easily_is_named() -> None:
    columns: Any = ["name", "host"]
    one: Any = 0.5
    mark: Any = plots.Mark(1, "x")
    for call, why in (
        (lambda: frames.throughput(day(), by=columns), "by must be the name of one col"),
        (lambda: frames.latency_quantiles(day(), quantiles=one), r"such as \(0.5, 0.99\), not 0.5"),
        (lambda: frames.attempts(day(), since=float("inf")), "inf is not a time"),
        (lambda: frames.attempts(day(), since=1_764_000_000_000), "a number is epoch seconds"),
        (lambda: plots.throughput(day(), marks=mark), r"several, such as \[Mark"),
        (lambda: plots.concurrency(day(), limits=columns), "limits must be a dict such as"),
        (lambda: frames.capacity(day(), workers=10**30), "a whole number from 1 to 100,000"),
        (lambda: compared(least="5"), "least must be a whole number from 1, not '5'"),
    ):
        with pytest.raises(InvalidOption, match=why):
            call()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0, -1, "x", None, True])
def test_a_wrong_rate_is_refused_by_an_estimate(wrong: Any) -> None:
    steps = pd.Series(range(2_000)).to_numpy() / 10.0
    estimate = frames.capacity(history_of(steps, steps, steps * 0 + 0.05), workers=8)
    for ask in (
        lambda: estimate.wait_s(wrong),
        lambda: estimate.workers_for(wrong, "50ms"),
        lambda: estimate.most_within("50ms", 0.9, workers=wrong if wrong is not None else 0),
    ):
        with pytest.raises(InvalidOption):
            ask()


def test_numbers_of_numpy_are_numbers() -> None:
    # Such as they come from a column of a frame. pandas reads a bare one as nanoseconds.
    history = history_of(np.arange(300) * 1.0, np.arange(300) + 3.0, np.full(300, 0.5))
    numbers: list[Any] = [np.int64(2), np.int32(2), np.float32(2)]
    since: Any = np.int64(100)
    for number in numbers:
        told = frames.slo(history, wait=number)
        pd.testing.assert_frame_equal(told, frames.slo(history, wait=2))
        assert told.attrs["wait_s"] == 2
        pd.testing.assert_frame_equal(
            frames.throughput(history, since=since), frames.throughput(history, since=100)
        )
        assert frames.audit(history, slack_s=number).records == 300
