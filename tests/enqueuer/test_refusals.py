"""What a caller can get wrong is refused before anything reaches Redis."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.parity.gopeer import Scene
from tests.support.steps import FakeClock
from workkit import Enqueuer, InvalidArgs, InvalidName, InvalidOption

Call = Callable[[Enqueuer, Any, Any], object]

CENTURY_S: Final = 100 * 366 * 86_400
METHODS: Final[dict[str, Call]] = {
    "enqueue": lambda e, name, args: e.enqueue(name, args),
    "enqueue_many": lambda e, name, args: e.enqueue_many([("good", None), (name, args)]),
    "enqueue_in": lambda e, name, args: e.enqueue_in(name, 5, args),
    "enqueue_at": lambda e, name, args: e.enqueue_at(name, 5, args),
    "enqueue_unique": lambda e, name, args: e.enqueue_unique(name, args),
    "enqueue_unique until done": lambda e, name, args: e.enqueue_unique(name, args, until="done"),
    "enqueue_unique_in": lambda e, name, args: e.enqueue_unique_in(name, 5, args),
    "enqueue_unique_by_key": lambda e, name, args: e.enqueue_unique_by_key(name, args, {"k": 1}),
    "enqueue_unique_in_by_key": lambda e, name, args: e.enqueue_unique_in_by_key(
        name, 5, args, {"k": 1}
    ),
}


def refusals(enqueuer: Enqueuer, name: Any, args: Any, error: type[Exception]) -> dict[str, str]:
    """Call every method, and return what those that refused had to say."""
    said = {}
    for label, call in METHODS.items():
        try:
            call(enqueuer, name, args)
        except error as refusal:
            said[label] = str(refusal)
    return said


@pytest.mark.one_server
@pytest.mark.parametrize(
    "name",
    [
        "",
        "a,b",
        "a\0",
        "a:lock",
        "a:p1:inprogress",
        "\ud800",
        None,
        5,
        b"mail",
        ["mail"],
    ],
)
def test_a_bad_name_writes_nothing(enqueuer: Enqueuer, scene: Scene, name: Any) -> None:
    said = refusals(enqueuer, name, {"a": 1}, InvalidName)
    assert set(said) == set(METHODS)
    assert all("name" in refusal for refusal in said.values())
    assert scene.dump() == {}


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("args", "path"),
    [
        ([], "args must be a mapping"),
        ("text", "args must be a mapping"),
        ({1: 2}, "args: the key 1"),
        ({"a": {"b": [1, math.nan]}}, r"args\.a\.b\[1\]: nan"),
        ({"a": b"x"}, r"args\.a: bytes has no JSON form"),
        ({"a": datetime.date(2024, 1, 1)}, r"args\.a: date has no JSON form"),
        ({"a": "\ud800"}, r"args\.a: .*lone surrogate"),
    ],
)
def test_bad_args_write_nothing_and_are_named_by_their_path(
    enqueuer: Enqueuer, scene: Scene, args: Any, path: str
) -> None:
    said = refusals(enqueuer, "mail", args, InvalidArgs)
    assert set(said) == set(METHODS)
    assert all(re.search(path, refusal) for refusal in said.values())
    assert scene.dump() == {}


@pytest.mark.one_server
@pytest.mark.parametrize("by_key", ["enqueue_unique_by_key", "enqueue_unique_in_by_key"])
@pytest.mark.parametrize(
    ("key", "path"), [([1], r"^key must be a mapping"), ({"a": {1}}, r"^key\.a: set has no JSON")]
)
def test_a_bad_key_writes_nothing_and_is_called_a_key(
    enqueuer: Enqueuer, scene: Scene, by_key: str, key: Any, path: str
) -> None:
    seconds = [5] if "_in_" in by_key else []
    with pytest.raises(InvalidArgs, match=path):
        getattr(enqueuer, by_key)("mail", *seconds, {"args": "are fine"}, key)
    assert scene.dump() == {}


@pytest.mark.one_server
@pytest.mark.parametrize(
    "call",
    [
        lambda e, seconds: e.enqueue_in("mail", seconds),
        lambda e, seconds: e.enqueue_unique_in("mail", seconds),
        lambda e, seconds: e.enqueue_unique_in_by_key("mail", seconds, None, None),
    ],
)
@pytest.mark.parametrize(
    "seconds",
    [
        -1,
        -0.001,
        math.nan,
        math.inf,
        True,
        "5",
        None,
        datetime.timedelta(seconds=5),
        CENTURY_S + 1,
        1_800_000_000_000,
        pytest.param(10**400, id="10**400"),
    ],
)
def test_a_delay_that_makes_no_sense_writes_nothing(
    enqueuer: Enqueuer, scene: Scene, call: Callable[..., object], seconds: Any
) -> None:
    with pytest.raises(InvalidOption) as refusal:
        call(enqueuer, seconds)
    assert str(refusal.value).startswith("seconds must be a number from 0 up to a century, not ")
    assert scene.dump() == {}


@pytest.mark.one_server
@pytest.mark.parametrize(
    "when",
    [
        datetime.datetime(2030, 1, 1),  # noqa: DTZ001 - without a zone is the matter here
        datetime.date(2030, 1, 1),
        -1,
        math.nan,
        math.inf,
        True,
        "2030-01-01T00:00:00Z",
        None,
        1_800_000_000_000,
        pytest.param(10**400, id="10**400"),
        datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(1969, 12, 31, tzinfo=datetime.UTC),
    ],
)
def test_a_time_that_makes_no_sense_writes_nothing(
    enqueuer: Enqueuer, scene: Scene, when: Any
) -> None:
    with pytest.raises(InvalidOption, match=r"^when must be a datetime with a time zone"):
        enqueuer.enqueue_at("mail", when)
    assert scene.dump() == {}


@pytest.mark.one_server
def test_a_delay_of_a_century_is_taken_just_so(enqueuer: Enqueuer, clock: FakeClock) -> None:
    assert enqueuer.enqueue_in("mail", CENTURY_S).run_at == clock.now_s + CENTURY_S
    latest = clock.now_s + CENTURY_S
    assert enqueuer.enqueue_at("mail", latest).run_at == latest
    with pytest.raises(InvalidOption):
        enqueuer.enqueue_at("mail", latest + 1)


@pytest.mark.one_server
@pytest.mark.parametrize("until", ["end", "", None, True, "Start"])
def test_an_until_that_makes_no_sense_writes_nothing(
    enqueuer: Enqueuer, scene: Scene, until: Any
) -> None:
    with pytest.raises(InvalidOption, match=r'^until must be "start" or "done", not '):
        enqueuer.enqueue_unique("mail", None, until=until)
    with pytest.raises(InvalidOption, match=r'^until must be "start" or "done", not '):
        enqueuer.enqueue_unique_in("mail", 5, None, until=until)
    assert scene.dump() == {}


# Many


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (("", None), InvalidName, "job 1500: a job name may not be empty"),
        (("mail", {"a": math.inf}), InvalidArgs, r"job 1500: args\.a: inf"),
        (("mail", [1]), InvalidArgs, "job 1500: args must be a mapping"),
        ("mail", InvalidArgs, r"job 1500: expected a Call or a pair \(name, args\), got 'mail'"),
        (("mail",), InvalidArgs, "job 1500: expected a Call or a pair"),
        (("mail", None, 5), InvalidArgs, "job 1500: expected a Call or a pair"),
        (None, InvalidArgs, "job 1500: expected a Call or a pair"),
    ],
)
def test_one_bad_job_among_thousands_is_named_and_none_is_written(
    enqueuer: Enqueuer, scene: Scene, bad: Any, error: type[Exception], message: str
) -> None:
    jobs: list[Any] = [("mail", {"n": n}) for n in range(3_000)]
    jobs[1_500] = bad
    with pytest.raises(error, match=f"^{message}"):
        enqueuer.enqueue_many(jobs)
    assert scene.dump() == {}


@pytest.mark.one_server
def test_after_a_refusal_the_enqueuer_works_as_before(enqueuer: Enqueuer, scene: Scene) -> None:
    for call in METHODS.values():
        with pytest.raises(InvalidArgs):
            call(enqueuer, "mail", {"a": object()})
    job = enqueuer.enqueue("mail")
    assert scene.queue("mail") == [job.raw]


@pytest.mark.parametrize("method", METHODS)
def test_a_job_that_is_too_large_is_refused_and_a_large_one_is_warned_of_once_a_name(
    redis_url: str, namespace: str, scene: Scene, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    enqueuer = Enqueuer(namespace, redis_url, max_job_bytes=50_000)
    for _ in range(3):
        METHODS[method](enqueuer, "work", {"x": "x" * 20_000})
    warned = [record for record in caplog.records if "store large data elsewhere" in record.message]
    assert len(warned) == 1
    assert "'work' takes " in warned[0].message
    before = scene.redis.dbsize()
    with pytest.raises(
        InvalidArgs, match=r"'other' takes \d+ bytes, more than max_job_bytes=50000"
    ):
        METHODS[method](enqueuer, "other", {"x": "x" * 50_000})
    assert scene.redis.dbsize() == before
    enqueuer.close()


def test_a_mebibyte_is_the_bound_by_default(enqueuer: Enqueuer, scene: Scene) -> None:
    enqueuer.enqueue("work", {"x": "x" * 1_000_000})
    with pytest.raises(InvalidArgs, match="max_job_bytes=1048576"):
        enqueuer.enqueue("work", {"x": "x" * 2**20})
    assert len(scene.queue("work")) == 1


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "1", 2**30])
def test_a_bound_that_is_none_is_refused(redis_url: str, bound: Any) -> None:
    with pytest.raises(InvalidOption, match="max_job_bytes"):
        Enqueuer("n", redis_url, max_job_bytes=bound)
