"""Signatures of typed tasks: a complaint names the path, and nothing that fits is refused."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workkit import ArgsMismatch, Task, Tasks
from workkit.core.signatures import Signature, read_signature


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Size:
    width: int
    height: int = 10


class Circle(msgspec.Struct, tag=True):
    radius: float
    inside: Circle | None = None


class Square(msgspec.Struct, tag=True):
    side: float


class Options(TypedDict, total=False):
    verbose: bool
    tags: list[str]


class Pair(NamedTuple):
    first: int
    second: str = "x"


TYPES = [
    int, float, str, bool, bytes, datetime.datetime, datetime.date, datetime.time,
    datetime.timedelta, decimal.Decimal, uuid.UUID, Colour, Size, Options, Pair, Any, None,
    Circle | Square, int | None, int | str | None, list[int], set[str], tuple[int, ...],
    tuple[int, str], dict[str, list[int]], dict[int, str], Literal["a", "b", 3],
    Annotated[int, msgspec.Meta(ge=0, lt=5)], Annotated[str, msgspec.Meta(min_length=2)],
    list[Size | None], list[list[Pair]],
]  # fmt: skip

TEXTS = st.sampled_from(
    [
        "", "a", "red", "YQ==", "2030-01-31T09:00:00Z", "2030-01-31", "09:00:00", "PT5S", "1.5",
        str(uuid.UUID(int=5)),
    ]
)  # fmt: skip
FLOATS = st.floats(-2, 6).map(lambda number: round(number, 1))
LEAVES = st.none() | st.booleans() | st.integers(-3, 7) | FLOATS | TEXTS
NAMES = st.sampled_from(
    ["width", "height", "radius", "inside", "side", "verbose", "tags", "3", "type"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner | st.sampled_from(["Circle", "Square"]), max_size=3)
    ),
    max_leaves=8,
)


def task_of(kind: Any, **options: Any) -> Task[..., Any]:
    def work(value: Any, *, other: int = 7) -> None: ...

    work.__annotations__["value"] = kind
    return Tasks().task(work, **options)


def signature_of(task: Task[..., Any]) -> Signature:
    signature = read_signature(task.signature)
    assert signature is not None
    return signature


SIGNATURES = [(task, signature_of(task)) for task in map(task_of, TYPES)]


@example(SIGNATURES[TYPES.index(dict[int, str])], {"width": "Circle"})
@given(st.sampled_from(SIGNATURES), VALUES)
def test_what_the_task_takes_is_never_refused_and_what_it_refuses_mostly_is(
    pair: tuple[Task[..., Any], Signature], value: Any
) -> None:
    task, signature = pair
    args = json.loads(json.dumps({"value": value}))
    complaints, refusal = signature.complaints(args), ""
    try:
        task.check_args(args)
    except ArgsMismatch as error:
        refusal = str(error)
    # A schema of msgspec has no types of keys, and no format of a datetime or a time.
    if refusal and not complaints:
        assert "a key:" in refusal or "RFC3339" in refusal
    else:
        assert bool(complaints) == bool(refusal)


@pytest.mark.parametrize(("kind", "args", "complaints"), [
    (list[int], {"value": [1, 2, "x"]}, ["args.value[2]: expected int, got str"]),
    (list[int], {}, ["args.value: missing"]),
    (list[int], {"value": [], "valeu": 1}, ["args.valeu: unknown; did you mean value?"]),
    (int, {"value": 1, "zzz": 1}, ["args.zzz: unknown; it takes value, other"]),
    (int, {"value": True, "other": 1.0},
     ["args.value: expected int, got bool", "args.other: expected int, got float"]),
    (Size, {"value": {"height": 1}}, ["args.value.width: missing"]),
    (int | None, {"value": "a"}, ["args.value: expected int | null, got str"]),
    (list[Size | None], {"value": [{"width": "a"}]},
     ["args.value[0].width: expected int, got str"]),
    (Circle | Square, {"value": {"type": "Square", "side": "a"}},
     ["args.value.side: expected float, got str"]),
    (Colour, {"value": "green"}, ['args.value: expected "blue" or "red"']),
    (Annotated[int, msgspec.Meta(ge=0)], {"value": -1}, ["args.value: expected int >= 0"]),
    (Annotated[str, msgspec.Meta(max_length=2)], {"value": "abc"},
     ["args.value: expected a length <= 2, got 3"]),
    (bytes, {"value": "no base64"}, ["args.value: expected base64, got another text"]),
])  # fmt: skip
def test_a_complaint_names_the_path(kind: Any, args: dict[str, Any], complaints: list[str]) -> None:
    assert signature_of(task_of(kind)).complaints(args) == complaints


def test_args_that_are_ignored_are_not_refused() -> None:
    assert not signature_of(task_of(int, unknown="ignore")).complaints({"value": 1, "more": 2})


def test_a_signature_says_what_it_takes_and_no_default() -> None:
    def work(to: str, sizes: list[Size], *, key: str = "hunter2") -> None: ...

    task = Tasks().task(work)
    signature = signature_of(task)
    assert signature.takes == "to: str, sizes: list[Size], key: str = ..."
    assert (signature.names, signature.required) == (["to", "sizes", "key"], ["to", "sizes"])
    assert signature.template() == {"to": "", "sizes": []}
    assert b"hunter2" not in task.signature


WORDS = st.sampled_from(["object", "array", "string", "base64", "#/$defs/a"])
KEYWORDS = st.sampled_from(
    [
        "type", "properties", "items", "anyOf", "$ref", "$defs", "a", "enum", "required",
        "minItems", "prefixItems", "additionalProperties", "discriminator", "format", "minimum",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
    max_leaves=20,
)


@example({"required": [[]]}, {})
@given(JSON, VALUES)
def test_whatever_stands_in_redis_harms_no_check(schema: Any, value: Any) -> None:
    signature = read_signature(json.dumps({"v": 1, "args": schema}).encode())
    if signature is not None:
        assert len(signature.complaints({"value": value, "a": value})) <= 5
        assert isinstance(signature.takes, str)
        json.dumps(signature.template())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"v": 2, "args": {}}', b"\xff", b"[" * 10_000])
def test_what_is_no_signature_is_not_read(raw: bytes) -> None:
    assert read_signature(raw) is None


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 2}}}
    assert Signature(schema).complaints({"n": 1}) == []
    inside = {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"], **schema}
    del inside["$ref"]
    assert (Signature(inside).takes, Signature(inside).template()) == ("a: any", {"a": None})
    assert isinstance(
        Signature({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}).takes, str
    )
