"""Keys and names: what the keyspace can hold, and how keys are found again."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core import gojson
from workkit.core import job as wire
from workkit.core.job import Job
from workkit.errors import InvalidName
from workkit.store.keys import Keys, check_name

RESERVED = (":paused", ":lock", ":lock_info", ":max_concurrency", ":inprogress")
NAMES = st.text(min_size=1, max_size=12).filter(
    lambda name: "," not in name and "\0" not in name and not name.endswith(RESERVED)
)


# Names


@given(NAMES)
def test_a_name_that_the_keyspace_can_hold_is_taken_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["weird:name", "a b", "naïve", "jobs:x", "lock", "*", "\n", "a:lock:b"]
)
def test_a_strange_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "may not be empty"),
        ("a,b", "a comma"),
        ("a\0b", "a null byte"),
        *((f"a{suffix}", suffix) for suffix in RESERVED),
        ("\ud800", "lone surrogate"),
        (None, "a string, not NoneType"),
        (5, "a string, not int"),
        (b"a", "a string, not bytes"),
        (["a"], "a string, not list"),
    ],
)
def test_a_name_that_the_keyspace_cannot_hold_is_refused_with_the_reason(
    name: object, why: str
) -> None:
    with pytest.raises(InvalidName) as refusal:
        check_name(name)
    assert why in str(refusal.value)


class Names(str, enum.Enum):  # noqa: UP042 - the older kind, whose str() is not its value
    MAIL = "mail"


def test_a_name_from_an_enum_means_the_same_in_keys_and_in_jobs() -> None:
    name = check_name(Names.MAIL)
    assert type(name) is str
    assert Keys("n").jobs(name) == b"n:jobs:mail"


# Namespaces


@pytest.mark.parametrize(
    ("namespace", "key"),
    [("work", b"work:retry"), ("work:", b"work:retry"), ("", b"retry"), ("{a}", b"{a}:retry")],
)
def test_a_colon_is_neither_doubled_nor_put_in_front_of_nothing(namespace: str, key: bytes) -> None:
    assert Keys(namespace).retry == key


@pytest.mark.parametrize(
    "namespace",
    [
        None,
        5,
        b"work",
        "a\0b",
        "\ud800",
    ],
)
def test_a_namespace_that_cannot_be_one_is_refused(namespace: Any) -> None:
    with pytest.raises(InvalidName, match="namespace"):
        Keys(namespace)


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True), st.sampled_from(["", "w", "w:"]))
def test_no_two_queues_share_a_key(names: list[str], namespace: str) -> None:
    keys = Keys(namespace)
    every = [key for name in names for key in keys.queue(name, "0123456789abcdef01234567")]
    assert len(set(every)) == len(every)


# Finding keys again


@given(NAMES, st.text(min_size=1, max_size=8).filter(lambda pool: ":" not in pool))
def test_an_in_progress_key_gives_its_name_and_pool_back(name: str, pool_id: str) -> None:
    keys = Keys("work")
    inprogress = keys.queue(name, pool_id).inprogress
    assert keys.parse_inprogress(inprogress) == (name, pool_id)
    assert keys.parse_inprogress(b"other:" + inprogress) is None


@given(
    NAMES | st.sampled_from([suffix[1:] for suffix in RESERVED]), st.sampled_from(["", "w", "jobs"])
)
def test_each_key_of_a_queue_is_taken_for_what_it_is(name: str, namespace: str) -> None:
    keys = Keys(namespace)
    queue = keys.queue(name, "0123456789abcdef01234567")
    types = ("list", "list", "string", "hash", "string", "string")
    assert [keys.type_of(key) for key in queue] == list(types)
    lists = [keys.parse_jobs(key) for key in queue]
    assert lists == [keys.queue_of(key) for key in queue] == [name, *[None] * 5]
    locks = [keys.parse_lock(key) for key in queue]
    assert locks == [None, None, name, name, None, None]
    assert [key for key in queue if keys.is_restored(key)] == [queue.max_concurrency]


@pytest.mark.parametrize(
    "key",
    [b"work:jobs:a", b"work:jobs:p:inprogress", b"work:jobs:a:lock", b"jobs:a:p:inprogress", b""],
)
def test_another_key_gives_no_name_and_pool(key: bytes) -> None:
    assert Keys("work").parse_inprogress(key) is None


@pytest.mark.parametrize("namespace", ["a*b", "a?b", "[ab]", "a\\b"])
def test_what_is_special_in_a_pattern_is_escaped(namespace: str) -> None:
    pattern = Keys(namespace).inprogress_pattern()
    assert pattern.startswith("".join(f"\\{c}" if c in r"*?[]\ " else c for c in namespace))
    assert pattern.endswith(":jobs:*:inprogress")


# Unique keys


def unique_job(args: dict[str, Any] | None, unique_key: str = "") -> Job:
    return Job("mail", "x", 1, args, unique=True, unique_key=unique_key)


def test_a_job_s_own_unique_key_is_believed_within_the_namespace_only() -> None:
    keys = Keys("work")
    own = 'work:unique:mail:{"by":"key"}\n'
    default = 'work:unique:mail:{"a":1}\n'
    assert keys.unique_of(unique_job({"a": 1}, own)) == own
    for foreign in ("", "work:jobs:mail", "other:unique:mail:{}\n", "work:dead"):
        assert keys.unique_of(unique_job({"a": 1}, foreign)) == default
    assert keys.unique_of(unique_job(None)) == "work:unique:mail:"


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=4))
def test_the_unique_key_of_a_job_is_the_same_before_and_after_its_journey(
    args: dict[str, Any],
) -> None:
    keys = Keys("work")
    args_json = gojson.encode_args(args)
    job = wire.decode(wire.encode("mail", "x", 1, args_json))
    assert keys.unique_of(job) == keys.unique("mail", args_json)
