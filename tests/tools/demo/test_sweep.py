"""Clearing a namespace takes that one and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workkit import InvalidName, InvalidOption, ServerUnavailable
from workkit.tools.demo.sweep import remove_keys, require_free

if TYPE_CHECKING:
    from redis import Redis


def test_only_the_namespace_itself_is_cleared(
    redis_client: Redis, redis_url: str, namespace: str
) -> None:
    own = [f"{namespace}:a", f"{namespace}:jobs:x", f"{namespace}:unique:x:{{}}\n"]
    others = [namespace, f"{namespace}2:a", f"{namespace[:-1]}:a", f"{namespace}-x:b"]
    for key in (*own, *others):
        redis_client.set(key, "1")
    assert remove_keys(namespace, redis_url) == len(own)
    assert [redis_client.exists(key) for key in own] == [0] * len(own)
    assert [redis_client.exists(key) for key in others] == [1] * len(others)
    redis_client.delete(*others)


@pytest.mark.parametrize("wild", ["*", "?", "[ab]", "\\"])
def test_a_namespace_with_wildcards_stands_for_itself(
    redis_client: Redis, redis_url: str, namespace: str, wild: str
) -> None:
    tricky, other = f"{namespace}{wild}", f"{namespace}a"
    redis_client.set(f"{other}:key", "1")
    require_free(tricky, redis_url)
    redis_client.set(f"{tricky}:key", "1")
    with pytest.raises(InvalidOption, match="in use"):
        require_free(tricky, redis_url)
    assert remove_keys(tricky, redis_url) == 1
    assert redis_client.exists(f"{other}:key") == 1


def test_more_keys_than_one_look_finds_are_all_cleared(
    redis_client: Redis, redis_url: str, namespace: str
) -> None:
    redis_client.mset({f"{namespace}:{number}": "1" for number in range(3_000)})
    assert remove_keys(namespace, redis_url) == 3_000
    require_free(namespace, redis_url)


def test_the_empty_namespace_is_refused(redis_url: str) -> None:
    for clear_or_check in (remove_keys, require_free):
        with pytest.raises(InvalidOption, match="empty"):
            clear_or_check("", redis_url)


def test_what_cannot_be_a_namespace_is_refused(redis_url: str) -> None:
    with pytest.raises(InvalidName):
        require_free("a\0b", redis_url)


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ServerUnavailable, match=r"/nowhere/s\.sock"):
        require_free("demo", "unix:///nowhere/s.sock")
