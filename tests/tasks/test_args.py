"""The parameters of a task are the args of its jobs, in both directions."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import sys
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict

import msgspec
import pytest

from workkit import ArgsMismatch, InvalidArgs, InvalidHandler, Task, Tasks
from workkit.core.gojson import encode_args

UTC = datetime.UTC
NOON = datetime.datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
ID = uuid.UUID("0f6e6a5c-51d8-4c7b-9c9a-0123456789ab")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Size:
    width: int
    height: int = 10


class Point(msgspec.Struct):
    x: float
    at: datetime.datetime | None = None


class Options(TypedDict, total=False):
    verbose: bool
    tags: list[str]


class Pair(NamedTuple):
    first: int
    second: str


def task_of(kind: Any, **options: Any) -> Task[..., Any]:
    """Return a task with one parameter, `value`, of a type."""

    def work(value: Any) -> Any:
        return value

    work.__annotations__["value"] = kind
    return Tasks().task(work, **options)


def run(task: Task[..., Any], args: dict[str, Any]) -> Any:
    """Run a task's job with the args as they lie on the wire."""
    from workkit import Job
    from workkit.tasks.resources import Resources

    wire = msgspec.json.decode(encode_args(args))
    return task.handler(Resources()).function(Job("work", "id", 0, wire))


def endless() -> list[Any]:
    """Return a list that contains itself."""
    items: list[Any] = []
    items.append(items)
    return items


class Folder(msgspec.Struct):
    folders: list[Folder]


@pytest.mark.parametrize(
    ("kind", "value", "wire"),
    [
        (str, "hé <b>", "hé <b>"),
        (int, 10**30, 10**30),
        (float, 2, 2),
        (bool, True, True),
        (bytes, b"\x00\xff", "AP8="),
        (datetime.datetime, NOON, "2026-03-01T12:30:15.25Z"),
        (datetime.datetime, NOON.replace(microsecond=0), "2026-03-01T12:30:15Z"),
        (datetime.date, NOON.date(), "2026-03-01"),
        (datetime.time, datetime.time(1, 2, 3, 500_000), "01:02:03.5"),
        (datetime.timedelta, datetime.timedelta(days=1, seconds=3), "P1DT3S"),
        (uuid.UUID, ID, str(ID)),
        (decimal.Decimal, decimal.Decimal("1.50"), "1.50"),
        (Colour, Colour.BLUE, "blue"),
        (Level, Level.LOW, 1),
        (Size, Size(3), {"width": 3, "height": 10}),
        (Point, Point(1.5, NOON), {"x": 1.5, "at": "2026-03-01T12:30:15.25Z"}),
        (Options, {"verbose": True}, {"verbose": True}),
        (Pair, Pair(1, "a"), [1, "a"]),
        (list[Size], [Size(1, 2)], [{"width": 1, "height": 2}]),
        (dict[str, datetime.date], {"a": NOON.date()}, {"a": "2026-03-01"}),
        (dict[int, str], {7: "x"}, {"7": "x"}),
        (dict[uuid.UUID, int], {ID: 1}, {str(ID): 1}),
        (set[int], {3, 1, 2}, [1, 2, 3]),
        (tuple[int, ...], (1, 2), [1, 2]),
        (int | None, None, None),
        (Literal["a", 3], 3, 3),
        (Annotated[int, msgspec.Meta(ge=1)], 1, 1),
        (Any, {"deep": [1, None]}, {"deep": [1, None]}),
    ],
)
def test_a_value_goes_to_the_wire_and_comes_back_as_it_was(
    kind: Any, value: Any, wire: Any
) -> None:
    task = task_of(kind)
    args = task.call(value).args
    assert args == {"value": wire}
    assert args is not None
    back = run(task, dict(args))
    assert back == value
    assert type(back) is type(value) or kind is float


@pytest.mark.parametrize(
    ("kind", "wire", "why"),
    [
        (int, "7", "args.value: expected int, got str"),
        (int, True, "args.value: expected int, got bool"),
        (str, 7, "args.value: expected str, got int"),
        (list[int], [1, 2, "x"], "args.value[2]: expected int, got str"),
        (list[Size], [{"width": 1}, {"height": 2}], "args.value[1].width: missing"),
        (list[Size], [{"width": 1, "depth": 2}], None),
        (dict[str, list[int]], {"a": [1], "b": [2, "x"]}, "args.value.b[1]: expected int, got str"),
        (dict[int, str], {"x": "y"}, "args.value: a key: expected int, got str"),
        (set[int], [1, "x"], "args.value[1]: expected int, got str"),
        (datetime.datetime, "soon", "args.value: invalid RFC3339 encoded datetime"),
        (uuid.UUID, "x", "args.value: invalid UUID"),
        (Colour, "green", "args.value: invalid enum value 'green'"),
        (Literal["a", "b"], "c", "args.value: invalid enum value 'c'"),
        (Annotated[int, msgspec.Meta(ge=1)], 0, "args.value: expected int >= 1"),
        (Point, {"x": 1, "at": 5}, "args.value.at: expected datetime | null, got int"),
        (Pair, [1], "args.value: expected array of length 2, got 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(kind: Any, wire: Any, why: str | None) -> None:
    task = task_of(kind)
    if why is None:
        run(task, {"value": wire})
        return
    with pytest.raises(ArgsMismatch) as refused:
        run(task, {"value": wire})
    assert str(refused.value) == why


def test_the_args_on_the_wire_are_the_ones_that_were_given() -> None:
    tasks = Tasks()

    @tasks.task
    def send(address: str, subject: str = "hi", *, at: datetime.datetime | None = None) -> None: ...

    assert send.call("a@x") == ("send", {"address": "a@x"})
    assert send.call("a@x", at=NOON).args == {"address": "a@x", "at": "2026-03-01T12:30:15.25Z"}


def test_defaults_are_the_objects_of_the_function() -> None:
    tasks = Tasks()
    marker = Size(1, 1)

    @tasks.task
    def work(a: int, size: Size = marker, *, names: list[str] = ["x"]) -> Any:  # noqa: B006
        return a, size, names

    a, size, names = run(work, {"a": 1})
    assert a == 1
    assert size is marker
    assert names is (work.function.__kwdefaults__ or {})["names"]


def test_a_time_whose_offset_has_seconds_keeps_its_instant() -> None:
    offset = datetime.timezone(datetime.timedelta(hours=-1, seconds=28))
    task, at = task_of(datetime.datetime), datetime.datetime(1890, 1, 1, tzinfo=offset)
    args = task.call(at).args
    assert args == {"value": "1890-01-01T00:59:32Z"}
    assert run(task, dict(args)) == at


def test_a_missing_arg_is_named() -> None:
    with pytest.raises(ArgsMismatch, match=r"^args\.value: missing$"):
        run(task_of(int), {})


def test_an_unknown_arg_is_refused_and_the_near_one_named() -> None:
    tasks = Tasks()

    @tasks.task
    def send(address: str = "") -> None: ...

    with pytest.raises(ArgsMismatch, match=r"^args\.adress: unknown; did you mean address\?$"):
        run(send, {"adress": "a@x"})
    with pytest.raises(ArgsMismatch, match=r"^args\.zzz: unknown; send takes address$"):
        run(send, {"zzz": 1})


def test_unknown_args_are_left_out_on_request() -> None:
    task = task_of(int, unknown="ignore")
    assert run(task, {"value": 3, "new": True}) == 3


def test_an_upgrade_makes_older_args_those_of_today() -> None:
    tasks = Tasks()

    def upgrade(args: dict[str, Any]) -> dict[str, Any]:
        if "mail" in args:
            args["address"] = args.pop("mail")
        return args

    @tasks.task(upgrade=upgrade)
    def send(address: str, copies: int = 1) -> Any:
        return address, copies

    assert run(send, {"mail": "a@x"}) == ("a@x", 1)
    assert run(send, {"address": "b@x", "copies": 2}) == ("b@x", 2)
    assert send.call("c@x").args == {"address": "c@x"}


class SafeText(str):
    """As the strings of template engines are."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another text"


class Amount(int): ...


class Ratio(float): ...


class Content(bytes): ...


class Price(decimal.Decimal): ...


class Moment(datetime.datetime):
    """As the times of other libraries, and of those that freeze the time in tests, are."""


class Day(datetime.date): ...


class Span(datetime.timedelta): ...


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (SafeText("a"), "a"),
        (Amount(10**30), 10**30),
        (Ratio(1.5), 1.5),
        (Content(b"\xff"), "/w=="),
        (Price("1.50"), "1.50"),
        (Moment(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC), "2026-03-01T12:30:15.25Z"),
        (Moment(2026, 3, 1), "2026-03-01T00:00:00"),
        (Day(2026, 3, 1), "2026-03-01"),
        (Span(days=1, seconds=3), "P1DT3S"),
    ],
)
def test_an_object_of_a_subclass_is_written_as_one_of_the_class(value: Any, wire: Any) -> None:
    kind = type(value).__mro__[1]
    for annotation, given, expected in (
        (kind, value, wire),
        (list[kind], [value], [wire]),  # type: ignore[valid-type]
        (Any, {"it": value}, {"it": wire}),
    ):
        task = task_of(annotation)
        args = task.call(given).args
        assert args == {"value": expected}
        if annotation is kind:
            assert run(task, dict(args)) == value
            assert type(run(task, dict(args))) is kind


def test_a_time_is_written_while_a_test_has_frozen_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = task_of(datetime.datetime)
    monkeypatch.setattr(datetime, "datetime", Moment)
    assert task.call(Moment(2026, 3, 1, tzinfo=UTC)).args == {"value": "2026-03-01T00:00:00Z"}


def test_a_subclass_of_another_scalar_is_refused_as_that_scalar() -> None:
    with pytest.raises(InvalidArgs, match=r"args\.value: expected bytes, got str$"):
        task_of(bytes).call(SafeText("a"))


@pytest.mark.parametrize("result", [None, 5, ["n"]])
def test_an_upgrade_that_returns_no_args_is_named(result: Any) -> None:
    task = task_of(int, upgrade=lambda args: result)
    with pytest.raises(InvalidHandler, match=r"upgrade must return the args as a dict, not .*ret"):
        run(task, {"value": 1})


def test_args_that_are_nested_too_deeply_for_their_type_do_not_fit() -> None:
    folder: dict[str, Any] = {"folders": []}
    for _ in range(sys.getrecursionlimit()):
        folder = {"folders": [folder]}
    task = task_of(Folder)
    with pytest.raises(ArgsMismatch, match="^args: nested too deeply"):
        task.check_args({"value": folder})


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (int, "7", "work: args.value: expected int, got str"),
        (str, b"abc", "work: args.value: expected str, got bytes"),
        (str, NOON, "work: args.value: expected str, got datetime"),
        (str, ID, "work: args.value: expected str, got uuid"),
        (datetime.date, NOON, "work: args.value: expected date, got datetime"),
        (list[int], [1, "x"], "work: args.value[1]: expected int, got str"),
        (Size, Size("x"), "work: args.value.width: expected int, got str"),  # type: ignore[arg-type]
        (Any, object(), "work: args.value: object has no JSON form"),
        (bytes, "text", "work: args.value: expected bytes, got str"),
        (bytes | None, "text", "work: args.value: expected bytes | null, got str"),
        (NewType("Key", bytes), "text", "work: args.value: expected bytes, got str"),
        (Annotated[uuid.UUID, "note"], str(ID), "work: args.value: expected uuid, got str"),
        (datetime.date, "2026-03-01", "work: args.value: expected date, got str"),
        (Any, endless(), "work: args.value: nested too deeply, or contains itself"),
        (list[Any], endless(), "work: args.value: nested too deeply, or contains itself"),
        (float, decimal.Decimal(1), "work: args.value: expected float, got str"),
    ],
)
def test_a_call_checks_its_arguments(kind: Any, value: Any, why: str) -> None:
    with pytest.raises(InvalidArgs) as refused:
        task_of(kind).call(value)
    assert str(refused.value) == why
    assert not isinstance(refused.value, ArgsMismatch)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda task: task.call(), "missing a required argument: 'value'"),
        (lambda task: task.call(1, 2), "too many positional arguments"),
        (lambda task: task.call(1, other=2), "got an unexpected keyword argument 'other'"),
        (
            lambda task: task.call(valeu=1),
            r"got an unexpected keyword argument 'valeu'; did you mean value\?",
        ),
    ],
)
def test_a_call_of_another_arity_is_refused(call: Callable[[Any], Any], why: str) -> None:
    with pytest.raises(InvalidArgs, match=rf"^work: {why}; it takes \(value\)$"):
        call(task_of(int))


def test_classes_of_the_enclosing_function_are_found() -> None:
    @dataclasses.dataclass
    class Local:
        n: int

    tasks = Tasks()

    @tasks.task
    def work(value: Local) -> Any:
        return value

    assert run(work, {"value": {"n": 1}}) == Local(1)


def test_a_large_dict_does_not_make_the_search_for_a_key_slow() -> None:
    task = task_of(dict[str, int])
    with pytest.raises(ArgsMismatch, match=r"^args\.value\[\.\.\.\]: expected int, got str$"):
        run(task, {"value": {**{f"k{n}": n for n in range(5_000)}, "z": "x"}})
