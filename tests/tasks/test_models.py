"""Models of attrs and pydantic are parameters where those libraries are installed."""

from __future__ import annotations

import dataclasses
import datetime
import math
from typing import Annotated, Any, TypedDict

import pytest

from tests.tasks.test_args import run, task_of
from workkit import ArgsMismatch, InvalidArgs, InvalidHandler


def test_an_attrs_class_is_a_parameter() -> None:
    attrs = pytest.importorskip("attrs")
    size: Any = attrs.make_class("Size", {"width": attrs.field(type=int)})
    task = task_of(list[size])
    assert task.call([size(3)]).args == {"value": [{"width": 3}]}
    assert run(task, {"value": [{"width": 4}]}) == [size(4)]
    with pytest.raises(ArgsMismatch, match=r"^args\.value\[0\]\.width: expected int, got str$"):
        run(task, {"value": [{"width": "x"}]})


def test_a_private_field_of_an_attrs_class_is_refused_as_it_would_be_lost() -> None:
    attrs = pytest.importorskip("attrs")
    kept: Any = attrs.make_class("Kept", {"n": attrs.field(type=int), "_p": attrs.field(default=3)})
    with pytest.raises(InvalidHandler, match=r"the field _p of Kept would not be written"):
        task_of(dict[str, kept])
    cache = attrs.field(init=False, factory=list)
    made: Any = attrs.make_class("Made", {"n": attrs.field(type=int), "_cache": cache})
    task = task_of(made)
    assert task.call(made(3)).args == {"value": {"n": 3}}
    assert run(task, {"value": {"n": 3}}) == made(3)


def test_a_union_of_models_is_refused_with_the_model_that_holds_it() -> None:
    pydantic = pytest.importorskip("pydantic")
    first, second = (pydantic.create_model(name, **{name: (int, ...)}) for name in "ab")
    for union in (first | second, first | int):
        with pytest.raises(InvalidHandler, match=r"into a model: pydantic\.RootModel\[A \| B\]"):
            task_of(union)
    either: Any = pydantic.RootModel[first | second]
    task = task_of(either)
    assert task.call(either(second(b=1))).args == {"value": {"b": 1}}
    assert run(task, {"value": {"b": 1}}).root == second(b=1)


def test_a_model_of_pydantic_is_a_parameter() -> None:
    pydantic = pytest.importorskip("pydantic")
    inner: Any = pydantic.create_model("Inner", sizes=(list[int], ...))
    outer: Any = pydantic.create_model("Outer", inner=(inner, ...), note=(str, "none"))
    task = task_of(dict[str, outer])
    value = {"a": outer(inner=inner(sizes=[1]))}
    assert task.call(value).args == {"value": {"a": {"inner": {"sizes": [1]}, "note": "none"}}}
    assert run(task, {"value": {"a": {"inner": {"sizes": [1]}}}}) == value
    with pytest.raises(ArgsMismatch, match=r"^args\.value\.a\.inner\.sizes\[1\]: Input should be"):
        run(task, {"value": {"a": {"inner": {"sizes": [1, "x"]}}}})
    with pytest.raises(InvalidArgs, match=r"^work: args\.value\.a\.inner: "):
        task.call({"a": {"inner": 3}})


def test_a_field_that_would_reach_the_job_with_another_value_is_refused() -> None:
    pydantic = pytest.importorskip("pydantic")
    hidden: Any = pydantic.create_model("Hidden", n=(int, ...), pin=(pydantic.SecretStr, ...))
    louder = Annotated[str, pydantic.AfterValidator(lambda text: f"{text}!")]
    grows: Any = pydantic.create_model("Grows", text=(louder, ...))
    lower = Annotated[str, pydantic.AfterValidator(str.lower)]
    settles: Any = pydantic.create_model("Settles", text=(lower, ...))
    with pytest.raises(InvalidArgs, match=r"args\.value: the field pin of Hidden would reach"):
        task_of(hidden).call(hidden(n=1, pin="1234"))
    with pytest.raises(InvalidArgs, match=r"args\.value: the field text of Grows would reach"):
        task_of(list[grows]).call([grows(text="a")])
    assert task_of(settles).call(settles(text="A")).args == {"value": {"text": "a"}}


def test_a_field_that_is_never_written_is_refused_unless_it_has_its_default() -> None:
    pydantic = pytest.importorskip("pydantic")
    pin = (str, pydantic.Field(default="", exclude=True))
    hides: Any = pydantic.create_model("Hides", n=(int, ...), pin=pin)
    outer: Any = pydantic.create_model("Outer", each=(dict[str, list[hides]], ...))
    assert task_of(hides).call(hides(n=1)).args == {"value": {"n": 1}}
    with pytest.raises(InvalidArgs, match=r"args\.value: the field pin of Hides .* is excluded"):
        task_of(hides).call(hides(n=1, pin="1234"))
    with pytest.raises(InvalidArgs, match=r"args\.value: the field each.* of Outer would reach"):
        task_of(outer).call(outer(each={"a": [hides(n=1, pin="1234")]}))


@pytest.mark.parametrize("alias", ["validation_alias", "serialization_alias"])
def test_a_model_that_is_written_and_read_by_other_names_is_refused(alias: str) -> None:
    pydantic = pytest.importorskip("pydantic")
    model: Any = pydantic.create_model("Named", name=(str, pydantic.Field(**{alias: "fullName"})))
    value = model.model_construct(name="Ann")
    why = r"args\.value: Named is written without (fullName|name), which its reader needs.* alias="
    with pytest.raises(InvalidArgs, match=why):
        task_of(model).call(value)
    both: Any = pydantic.create_model("Both", name=(str, pydantic.Field(alias="fullName")))
    task = task_of(both)
    assert task.call(both(fullName="Ann")).args == {"value": {"fullName": "Ann"}}
    assert run(task, {"value": {"fullName": "Ann"}}).name == "Ann"


def test_a_strict_model_reads_what_json_has_no_type_for() -> None:
    pydantic = pytest.importorskip("pydantic")
    strict = pydantic.ConfigDict(strict=True)
    model: Any = pydantic.create_model(
        "Strict", __config__=strict, at=(datetime.datetime, ...), n=(int, ...)
    )
    task, noon = task_of(model), datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    args = task.call(model(at=noon, n=1)).args
    assert args == {"value": {"at": "2026-03-01T12:00:00Z", "n": 1}}
    assert run(task, dict(args)) == model(at=noon, n=1)
    with pytest.raises(ArgsMismatch, match=r"^args\.value\.n: Input should be a valid integer"):
        run(task, {"value": {"at": "2026-03-01T12:00:00Z", "n": "1"}})


def test_numbers_without_a_json_form_are_named_also_in_a_model() -> None:
    pydantic = pytest.importorskip("pydantic")
    model: Any = pydantic.create_model("Ratio", it=(float, ...))
    for number in (math.nan, math.inf):
        with pytest.raises(InvalidArgs, match=r"^args\.value\.it: (nan|inf) cannot be written"):
            run(task_of(model), dict(task_of(model).call(model(it=number)).args or {}))


def test_constraints_that_only_models_check_are_refused() -> None:
    pydantic = pytest.importorskip("pydantic")
    positive = Annotated[int, pydantic.Field(gt=0)]
    holder = dataclasses.make_dataclass("Holder", [("n", positive)])
    fields = TypedDict("fields", {"n": positive})  # noqa: UP013 - a local name
    upper = Annotated[str, pydantic.AfterValidator(str.upper)]
    wrong = (positive, pydantic.PositiveInt, list[positive], holder, dict[str, fields], upper)
    for kind in (*wrong, pydantic.conint(gt=3), pydantic.UUID4, pydantic.EmailStr, positive | None):
        with pytest.raises(InvalidHandler, match=r"value: pydantic checks .* only in its models"):
            task_of(kind)
    remarked = Annotated[int, pydantic.Field(description="how many")]
    model: Any = pydantic.create_model("Model", n=(positive, ...))
    for kind in (remarked, pydantic.StrictInt, list[model]):
        task_of(kind)


def test_a_model_without_a_json_form_is_refused_with_its_place() -> None:
    pydantic = pytest.importorskip("pydantic")
    binary: Any = pydantic.create_model("Binary", content=(bytes, ...))
    anything: Any = pydantic.create_model("Anything", it=(Any, ...))
    for kind, value in ((binary, binary(content=b"\xff")), (anything, anything(it=object()))):
        with pytest.raises(InvalidArgs, match=rf"args\.value: {kind.__name__} has no JSON form: "):
            task_of(kind).call(value)


def test_computed_fields_of_a_model_are_not_written() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Strict(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        model_config = pydantic.ConfigDict(extra="forbid")
        n: int

        @pydantic.computed_field  # type: ignore[prop-decorator,untyped-decorator]
        @property
        def twice(self) -> int:
            return 2 * self.n

    task = task_of(Strict)
    assert task.call(Strict(n=2)).args == {"value": {"n": 2}}
    assert run(task, {"value": {"n": 2}}).twice == 4


def test_a_dataclass_of_pydantic_is_refused_as_its_validators_would_not_run() -> None:
    pydantic = pytest.importorskip("pydantic")

    @pydantic.dataclasses.dataclass
    class Size:
        width: int

    with pytest.raises(InvalidHandler, match="Size is a dataclass of pydantic.* a BaseModel"):
        task_of(list[Size])


def test_a_class_that_looks_like_a_model_is_read_as_one() -> None:
    class Model:
        __pydantic_validator__ = None

        def __init__(self, n: int) -> None:
            self.n = n

        @classmethod
        def model_validate(cls, value: dict[str, int]) -> Model:
            if "n" not in value:
                raise ValueError("n is needed")
            return cls(value["n"])

        def model_dump(self, **_: Any) -> dict[str, int]:
            return {"n": self.n}

    task = task_of(Model)
    assert task.call(Model(3)).args == {"value": {"n": 3}}
    assert run(task, {"value": {"n": 4}}).n == 4
    with pytest.raises(ArgsMismatch, match=r"^args\.value: n is needed$"):
        run(task, {"value": {}})
