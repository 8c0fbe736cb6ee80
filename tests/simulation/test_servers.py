"""The simulator's additions to a server; fakeredis answers like a real one."""

from __future__ import annotations

import sys
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from workkit import InvalidOption, MissingExtra
from workkit.errors import ServerError
from workkit.simulation import Simulation
from workkit.simulation.redis.backend import LinkBackend
from workkit.simulation.redis.fake import FakeBackend
from workkit.simulation.redis.opening import open_backend
from workkit.store.connections.target import client_of

KEYS = ("a", "b", "c")
ITEMS = ("x", "y", "zz", "1", "20")
key, item = st.sampled_from(KEYS), st.sampled_from(ITEMS)
small = st.integers(-3, 3)
score = st.sampled_from([0, 1, 2.5, -3, 1_800_000_000])
bound = st.sampled_from(["-inf", "+inf", "(1", "2.5", "0", "(1800000000"])

COMMANDS = st.one_of(
    st.tuples(st.sampled_from(("GET", "TYPE", "DEL", "EXISTS", "LLEN", "HLEN", "SMEMBERS")), key),
    st.tuples(st.sampled_from(("GETDEL", "ZCARD", "XLEN", "PTTL", "HVALS", "RPOP")), key),
    st.tuples(st.just("SET"), key, item),
    st.tuples(st.just("SET"), key, item, st.sampled_from(("NX", "XX", "KEEPTTL"))),
    st.tuples(st.sampled_from(("INCRBY", "DECRBY")), key, small),
    st.tuples(st.sampled_from(("LPUSH", "RPUSH", "SADD", "SREM", "HDEL")), key, item, item),
    st.tuples(st.sampled_from(("HGET", "HEXISTS", "SISMEMBER")), key, item),
    st.tuples(st.sampled_from(("ZSCORE", "ZREM", "ZRANK")), key, item),
    st.tuples(st.just("HSET"), key, item, item),
    st.tuples(st.just("HMGET"), key, item, item),
    st.tuples(st.just("MGET"), key, key),
    st.tuples(st.just("HINCRBY"), key, item, small),
    st.tuples(st.just("LREM"), key, small, item),
    st.tuples(st.just("LRANGE"), key, small, small),
    st.tuples(st.just("LINDEX"), key, small),
    st.tuples(st.just("RPOP"), key, st.integers(1, 3)),
    st.tuples(st.just("ZADD"), key, score, item),
    st.tuples(st.sampled_from(("ZRANGE", "ZREVRANGE")), key, small, small),
    st.tuples(st.sampled_from(("ZCOUNT", "ZREMRANGEBYSCORE")), key, bound, bound),
    st.tuples(st.just("ZRANGEBYSCORE"), key, bound, bound, st.just("LIMIT"), st.just(0), small),
    st.tuples(st.just("XADD"), key, st.sampled_from(("1-1", "2-1", "2-7", "9-0")), item, item),
    st.tuples(st.just("XRANGE"), key, st.sampled_from(("-", "2-1", "(2-1")), st.just("+")),
    st.tuples(
        st.just("XREVRANGE"), key, st.sampled_from(("+", "(2-7")), st.just("-"), st.just("COUNT"),
        st.just(1),
    ),
    st.tuples(st.just("XTRIM"), key, st.just("MAXLEN"), st.integers(1, 2)),
)  # fmt: skip


def comparable(reply: Any) -> Any:
    """Make replies of protocol versions and servers the same where they say the same."""
    if isinstance(reply, ServerError):
        return "error"
    if isinstance(reply, (set, frozenset)):
        return sorted(reply)
    if isinstance(reply, float):
        return f"{reply:.17g}".encode()
    if reply is True or reply is False:
        return int(reply)
    return reply


@given(commands=st.lists(COMMANDS, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fakeredis_on_the_short_path_answers_as_a_real_server(
    redis_url: str, namespace: str, commands: list[tuple[Any, ...]]
) -> None:
    real, fake = LinkBackend(client_of(redis_url)), FakeBackend()
    try:
        for verb, *arguments in commands:
            names = 2 if verb == "MGET" else 1
            keys = [f"{namespace}:{each}" for each in arguments[:names]]
            command = (verb, *keys, *arguments[names:])
            theirs, ours = real.send([command])[0], fake.send([command])[0]
            if verb in {"SMEMBERS", "HVALS"}:
                theirs, ours = (
                    sorted(each) if not isinstance(each, ServerError) else each
                    for each in (theirs, ours)
                )
            assert comparable(ours) == comparable(theirs), command
    finally:
        real.send([("DEL", *(f"{namespace}:{each}" for each in KEYS))])
        real.close()


@pytest.mark.parametrize(
    "reply",
    [
        "7", "7.9", "'text'", "true", "false", "nil", "{}", "{{}}", "{1, {'a', {}, {2, 'b'}}, 'c'}",
        "{1, false, 'a'}", "{1, nil, 'a'}", "redis.status_reply('FINE')", "{KEYS[1], ARGV[2]}",
        "redis.error_reply('BAD luck')", "{'a', redis.status_reply('FINE'), 1}",
        "error('out of luck')", "redis.call('NOTHING')", "redis.call('TYPE', KEYS[1])",
        "redis.pcall('INCRBY', KEYS[1], 'x')",
    ],
)  # fmt: skip
def test_scripts_on_the_short_path_answer_as_on_a_real_server(
    redis_url: str, namespace: str, reply: str
) -> None:
    real, fake = LinkBackend(client_of(redis_url)), FakeBackend()
    command = ("EVAL", f"return {reply}".encode(), 1, f"{namespace}:a", "x", 2)
    try:
        assert comparable(fake.send([command])[0]) == comparable(real.send([command])[0])
    finally:
        real.close()


def test_a_script_on_the_short_path_answers_with_any_number_of_items() -> None:
    script = b"local all = {} for i = 1, 30000 do all[i] = {i, 'x'} end return all"
    (reply,) = FakeBackend().send([("EVAL", script, 0)])
    assert reply == [[number, b"x"] for number in range(1, 30_001)]


def test_what_is_no_server_is_refused() -> None:
    with pytest.raises(InvalidOption, match="server must be None"):
        open_backend(7)
    with pytest.raises(InvalidOption, match="URL"):
        open_backend("nowhere")


@pytest.mark.parametrize(("server", "module"), [(None, "lupa"), ("fakeredis", "fakeredis")])
def test_a_missing_extra_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, server: Any, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"pip install 'workkit\[simulation\]'"):
        Simulation(server=server)
