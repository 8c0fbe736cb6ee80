"""Random numbers repeat with a seed, and differ in every process without one."""

from __future__ import annotations

import os
import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.core.entropy import Entropy

DRAWS: Final = 500


def draw_all(entropy: Entropy) -> list[object]:
    return [
        entropy.identifier(),
        entropy.uniform(1, 2),
        entropy.below(10**9),
        [entropy.weighted([1, 3, 9], 1) for _ in range(20)],
    ]


@given(st.integers() | st.text())
def test_a_seed_makes_every_draw_repeatable(seed: int | str) -> None:
    assert draw_all(Entropy(seed)) == draw_all(Entropy(seed))


def test_another_seed_and_no_seed_give_other_draws() -> None:
    draws = [draw_all(Entropy(seed)) for seed in (1, 2, "1", None, None)]
    for column in zip(*draws, strict=True):
        assert len(set(map(str, column))) == len(draws)


@pytest.mark.parametrize("seed", [None, 7])
def test_an_id_has_24_hex_digits_and_is_unique(seed: int | None) -> None:
    entropy = Entropy(seed)
    ids = [entropy.identifier() for _ in range(DRAWS)]
    assert all(re.fullmatch(r"[0-9a-f]{24}", identifier) for identifier in ids)
    assert len(set(ids)) == DRAWS


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(1, 10**6))
def test_draws_stay_within_their_bounds(low: float, width: float, bound: int) -> None:
    entropy = Entropy(1)
    assert low <= entropy.uniform(low, low + width) <= low + width
    assert 0 <= entropy.below(bound) < bound


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(any), st.integers(0, 50))
def test_a_weighted_draw_gives_each_index_its_share_to_within_one(
    weights: list[int], count: int
) -> None:
    cumulative = [sum(weights[: i + 1]) for i in range(len(weights))]
    drawn = Entropy(1).weighted(cumulative, count)
    assert sum(drawn) == count
    for weight, times in zip(weights, drawn, strict=True):
        assert abs(times - count * weight / sum(weights)) < 1 + 1e-9
        assert times == 0 or weight > 0


def test_single_draws_follow_the_weights_too() -> None:
    entropy = Entropy(1)
    drawn = [entropy.weighted([1, 4], 1) for _ in range(4_000)]
    assert sum(first for first, _ in drawn) == pytest.approx(1_000, abs=120)


def drawn_in_a_fork(entropy: Entropy) -> str:
    """Return the draws of a child process from an inherited generator."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, f"{entropy.identifier()} {entropy.uniform(0, 1)!r}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_two_forks_and_their_parent_draw_different_numbers() -> None:
    entropy = Entropy()
    entropy.uniform(0, 1)
    drawn = [drawn_in_a_fork(entropy), drawn_in_a_fork(entropy)]
    drawn.append(f"{entropy.identifier()} {entropy.uniform(0, 1)!r}")
    for column in zip(*(text.split() for text in drawn), strict=True):
        assert len(set(column)) == len(drawn)
