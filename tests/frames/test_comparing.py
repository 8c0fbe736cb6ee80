"""What is more frequent among failed jobs than among done jobs."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.stage import ClientStage
from tests.frames.test_measures import ran
from workkit import InvalidOption, frames
from workkit.frames.arg_counts import ArgCounts, Sieve
from workkit.frames.schema import empty

pytestmark = pytest.mark.one_server

_numbers = itertools.count()


def jobs(*rows: dict[str, Any]) -> Any:
    """Make a frame of history, with a job for each row."""
    return ran(*({"job_id": f"j{next(_numbers)}"} | row for row in rows))


def test_the_strongest_difference_comes_first() -> None:
    done = jobs(
        *({"args": {"tenant": f"t{n % 10}", "n": n}, "host": f"h{n % 3}"} for n in range(300))
    )
    dead = jobs(
        *(
            {"args": {"tenant": "t7" if n % 5 else "t1", "n": n * 6}, "host": f"h{n % 3}"}
            for n in range(50)
        )
    )
    told = frames.compare(dead, done)
    top = told.iloc[0]
    assert (top.attribute, top.value, top.dead, top.done) == ("args.tenant", "t7", 40, 30)
    assert top.dead_share == 0.8
    assert top.done_share == 0.1
    assert 7 < top.lift < 9
    hosts = told[told["attribute"] == "host"]
    assert hosts["lift"].between(0.8, 1.25).all()
    assert told["score"].is_monotonic_decreasing


def test_numbers_with_many_values_are_grouped_by_quarters() -> None:
    done = jobs(*({"args": {"size": n}} for n in range(200)))
    dead = jobs(*({"args": {"size": 150 + n}} for n in range(50)))
    sizes = frames.compare(dead, done).query("attribute == 'args.size'")
    assert len(sizes) == 4
    assert sizes.iloc[0].value.endswith("199.0]")
    assert sizes.iloc[0].lift > 2


def test_hours_of_the_day_are_compared() -> None:
    done = jobs(*({"finished_at": n * 3_600} for n in range(240)))
    dead = jobs(*({"finished_at": 3 * 3_600 + n} for n in range(20)))
    top = frames.compare(dead, done).iloc[0]
    assert (top.attribute, top.value, top.dead, top.done) == ("hour", "3", 20, 10)


def test_rare_values_and_common_values_are_left_out() -> None:
    done = jobs(*({"args": {"id": f"i{n}", "same": 1}} for n in range(40)))
    dead = jobs(*({"args": {"id": f"j{n}", "same": 1}} for n in range(40)))
    assert set(frames.compare(dead, done)["attribute"]) == set()


def test_comparing_empty_frames_gives_an_empty_frame_with_its_columns() -> None:
    told = frames.compare(empty("history"), empty("history"))
    assert len(told) == 0
    assert list(told)[:2] == ["attribute", "value"]


def test_dead_jobs_are_compared_with_executions(past: ClientStage) -> None:
    dead = frames.dead_jobs(past.client)
    done = frames.history(past.client, outcome="done")
    told = frames.compare(dead[dead["problem"].isna()], done, least=1)
    region = told[(told["attribute"] == "args.host.region") & (told["value"] == "us")].iloc[0]
    assert (region.dead, region.done) == (2, 4)


def test_what_differs_by_chance_is_seldom_significant() -> None:
    draw = np.random.default_rng(1)
    found = looked = 0
    for _ in range(200):
        args = [{key: int(draw.integers(8)) for key in "abcdefgh"} for _ in range(330)]
        told = frames.compare(_of_args(args[:30]), _of_args(args[30:]))
        found += bool(told["significant"].any())
        looked += 1
    assert found / looked <= 0.05


def test_a_difference_of_two_times_is_found() -> None:
    draw = np.random.default_rng(2)
    found = 0
    for _ in range(60):
        bad, good = draw.random(400) < 0.2, draw.random(2_000) < 0.1
        tenants = [{"tenant": "t1" if one else f"t{draw.integers(2, 9)}"} for one in bad]
        others = [{"tenant": "t1" if one else f"t{draw.integers(2, 9)}"} for one in good]
        told = frames.compare(_of_args(tenants), _of_args(others))
        mine = told[(told["attribute"] == "args.tenant") & (told["value"] == "t1")].iloc[0]
        found += bool(mine.significant)
        assert mine.lift_low < mine.lift < mine.lift_high
    assert found >= 57


def _of_args(args: list[dict[str, Any]]) -> Any:
    """Make a frame of only args, since a whole one takes long."""
    return pd.DataFrame({"args": [json.dumps(one) for one in args]})


def test_a_job_with_several_failures_counts_once() -> None:
    bad = ran(
        *(
            {"job_id": "same", "fails": n, "outcome": "retry", "args": {"n": 1}}
            for n in range(1, 9)
        ),
        *({"job_id": f"b{n}", "fails": 1, "outcome": "retry", "args": {"n": 2}} for n in range(9)),
    )
    good = jobs(*({"args": {"n": n % 3}} for n in range(30)))
    told = frames.compare(bad, good).set_index(["attribute", "value"])
    assert told.loc[("args.n", "1"), "dead"] == 1


def test_a_host_is_compared_between_tries_of_the_same_number() -> None:
    # Retries run later, and by then only the new host is there: it means nothing.
    first = [{"fails": 1, "outcome": "retry", "host": f"h{n % 2}"} for n in range(40)]
    again = [{"fails": 2, "outcome": "dead", "host": "new"} for n in range(40)]
    bad = ran(*({"job_id": f"x{n % 40}"} | row for n, row in enumerate([*first, *again])))
    good = jobs(*({"host": f"h{n % 2}"} for n in range(400)))
    told = frames.compare(bad, good)
    assert set(told.loc[told["attribute"] == "host", "value"]) == {"h0", "h1"}
    assert not told["significant"].any()
    only_last = frames.compare(bad[bad["outcome"] == "dead"], good)
    assert "host" not in set(only_last["attribute"])
    (why,) = only_last.attrs["left_out"]
    assert why == (
        "host, hour: no failed try has the number of a done one; compare failed executions "
        "(retry and dead) of history with done ones"
    )


def test_args_with_changing_keys_are_compared_in_linear_time() -> None:
    bad = jobs(*({"args": {"counts": {f"k{n}": 1}, "tenant": "t1"}} for n in range(2_000)))
    good = jobs(*({"args": {"counts": {f"g{n}": 1}, "tenant": f"t{n % 4}"}} for n in range(2_000)))
    told = frames.compare(bad, good)
    assert set(told["attribute"]) == {"args.tenant"}


@pytest.mark.parametrize(
    ("dead", "done", "odd", "values"),
    [
        ([True, False], [True, False], "maybe", {"true", "false", "maybe"}),
        ([1, 2], [1, 2], 1.5, {"1.0", "2.0", "1.5"}),
        ([1, 2], [1, 2], 2**70, {"1", "2", str(2**70)}),
        ([1, 2], [1, 2], 3, {"1", "2", "3"}),
        (["1", "2"], [1, 2], [], {"1", "2", "[]"}),
    ],
)
def test_equal_values_are_one_value_whatever_else_one_side_has(
    dead: list[Any], done: list[Any], odd: Any, values: set[str]
) -> None:
    # Each value is as frequent among both, and some jobs do not have the arg.
    bad = _of_args([{"x": value} for value in dead for _ in range(20)] + [{}] * 20)
    good = _of_args(
        [{"x": value} for value in done for _ in range(100)] + [{}] * 100 + [{"x": odd}]
    )
    told = frames.compare(bad, good, least=1)
    assert set(told["value"]) == values
    assert not told["significant"].any()


def test_args_that_few_jobs_share_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workkit.frames.arg_counts._SIEVE_BITS", 20)
    args = pd.Series(
        json.dumps({"id": f"id-{n}", "counts": {f"k{n}": 1}, "n": n, "tenant": f"t{n % 7}"})
        for n in range(20_000)
    )
    sieve = Sieve(5)
    sieve.look(args)
    found = _counted(args[:10_000], args[10_000:], 5, sieve)
    assert len(found) < 40  # of 20,003 keys
    assert len(found["id"]) < 40  # of 20,000 values
    assert len(found["tenant"]) == 7
    assert [(dead, done) for _, dead, done in found["n"]] == [
        (5_000, 0), (5_000, 0), (0, 5_000), (0, 5_000),
    ]  # fmt: skip


#: Quarters of these have exact floats as their ends.
NUMBERS = st.integers(-(10**6), 10**6).map(lambda n: n * 4 if n % 3 else n / 16)


@given(st.lists(NUMBERS, min_size=25, max_size=90, unique=True), st.integers(1, 24))
def test_quarters_are_those_of_sorted_numbers(numbers: list[float], dead: int) -> None:
    dumped = pd.Series(json.dumps({"x": n}) for n in numbers)
    found = _counted(dumped[:dead], dumped[dead:], 1)
    cut = pd.qcut(pd.Series(numbers, dtype="float64"), 4, duplicates="drop")
    wanted = [
        (str(span), int((cut[:dead] == span).sum()), int((cut[dead:] == span).sum()))
        for span in cut.cat.categories
    ]
    assert found == {"x": wanted}


def _counted(dead: Any, done: Any, least: int, sieve: Sieve | None = None) -> dict[str, Any]:
    counts = ArgCounts(least, sieve)
    counts.look(0, dead)
    counts.look(1, done)
    counts.settle()
    counts.count(0, dead)
    counts.count(1, done)
    return dict(counts.tables())


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 1}, {"rate": -1}, {"least": 0}])
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        frames.compare(jobs({}), jobs({}), **wrong)


def test_frames_with_nothing_to_compare_give_no_rows() -> None:
    assert len(frames.compare(jobs({}), jobs({}))) == 0


def test_where_one_frame_has_no_jobs_that_is_said() -> None:
    some = jobs(*({"finished_at": n} for n in range(20)))
    for dead, done, kind in ((some, some[:0], "done"), (some[:0], some, "failed")):
        told = frames.compare(dead, done, least=1)
        assert len(told) == 0
        assert told.attrs["left_out"] == [f"everything: there are no {kind} jobs to compare"]
