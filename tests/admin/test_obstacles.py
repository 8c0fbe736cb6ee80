"""The reasons why a queue stands still."""

from __future__ import annotations

import pytest

from workkit.admin.obstacles import OBSTACLES, Obstacle, obstacles
from workkit.core.records import Queue


def queue(**fields: object) -> Queue:
    return Queue("mail", **({"count": 1, "latency": 0} | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "workers", "found"),
    [
        ({}, 3, []),
        ({}, None, []),
        ({}, 0, ["no worker"]),
        ({"count": 0}, 0, []),
        ({"paused": True}, 3, ["paused"]),
        ({"max_concurrency": 2, "running": 1}, 3, []),
        ({"max_concurrency": 2, "running": 2}, 3, ["full"]),
        ({"broken": True, "paused": True}, 0, ["broken", "paused", "no worker"]),
    ],
)
def test_each_reason_is_named_the_most_decisive_first(
    fields: dict[str, object], workers: int | None, found: list[Obstacle]
) -> None:
    assert obstacles(queue(**fields), workers) == found
    assert set(found) <= set(OBSTACLES)
