"""Clearing a namespace takes that one and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workkit import InvalidName, InvalidOption, ServerUnavailable
from workkit.tools.demo.launch import sweep

if TYPE_CHECKING:
    from redis import Redis


def test_only_the_namespace_itself_is_cleared(
    redis_client: Redis, redis_url: str, namespace: str
) -> None:
    own = [f"{namespace}:a", f"{namespace}:jobs:x", f"{namespace}:unique:x:{{}}\n"]
    others = [namespace, f"{namespace}2:a", f"{namespace[:-1]}:a", f"{namespace}-x:b"]
    for key in (*own, *others):
        redis_client.set(key, "1")
    sweep(namespace, redis_url, remove=True)
    assert [redis_client.exists(key) for key in own] == [0] * len(own)
    assert [redis_client.exists(key) for key in others] == [1] * len(others)
    redis_client.delete(*others)


@pytest.mark.parametrize("wild", ["*", "?", "[ab]", "\\"])
def test_a_namespace_with_wildcards_stands_for_itself(
    redis_client: Redis, redis_url: str, namespace: str, wild: str
) -> None:
    tricky, other = f"{namespace}{wild}", f"{namespace}a"
    redis_client.set(f"{other}:key", "1")
    assert sweep(tricky, redis_url) is None
    redis_client.set(f"{tricky}:key", "1")
    assert sweep(tricky, redis_url) == f"{tricky}:key"
    sweep(tricky, redis_url, remove=True)
    assert redis_client.exists(f"{tricky}:key") == 0
    assert redis_client.exists(f"{other}:key") == 1


def test_more_keys_than_one_look_finds_are_all_cleared(
    redis_client: Redis, redis_url: str, namespace: str
) -> None:
    redis_client.mset({f"{namespace}:{number}": "1" for number in range(3_000)})
    sweep(namespace, redis_url, remove=True)
    assert sweep(namespace, redis_url) is None


@pytest.mark.parametrize("remove", [True, False])
def test_the_empty_namespace_is_refused(redis_url: str, remove: bool) -> None:
    with pytest.raises(InvalidOption, match="empty"):
        sweep("", redis_url, remove=remove)


def test_a_name_that_is_not_valid_is_refused(redis_url: str) -> None:
    with pytest.raises(InvalidName):
        sweep("a\0b", redis_url)


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ServerUnavailable, match=r"/nowhere/s\.sock"):
        sweep("demo", "unix:///nowhere/s.sock")
