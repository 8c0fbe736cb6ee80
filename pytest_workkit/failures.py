"""What the report of a failed test says about its simulated worlds."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pytest_workkit.pages import write_pages

if TYPE_CHECKING:
    import pytest

    from workkit.simulation import Simulation

__all__ = ["explain", "hide_own_frames"]

#: How many lines of the timeline a failure shows.
_SHOWN: Final = 25
_OWN: Final = frozenset({"workkit", "pytest_workkit"})


def hide_own_frames(failure: pytest.ExceptionInfo[BaseException]) -> None:
    """Leave the frames of workkit out of a traceback that passes through a simulated world.

    The frames of the test and of its handlers stay, and so does the place of an unexpected error.
    """
    frames = [entry.frame for entry in failure.traceback]
    if any(_module(frame).startswith("workkit.simulation") for frame in frames):
        for frame in frames:
            if _is_own(frame):
                # pytest looks for it in the variables of a frame and then of its module.
                frame.f_globals["__tracebackhide__"] = _hides


def _module(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_own(frame: Any) -> bool:
    return _module(frame).partition(".")[0] in _OWN


def _hides(failure: pytest.ExceptionInfo[BaseException] | None) -> bool:
    """Tell pytest to hide the frames of workkit, unless workkit itself is what fails."""
    from workkit.errors import WorkkitError

    if failure is None:
        return False
    for_the_test = isinstance(failure.value, (AssertionError, Warning, WorkkitError))
    return for_the_test or not _is_own(failure.traceback[-1].frame)


def explain(
    item: pytest.Item, failure: pytest.ExceptionInfo[BaseException]
) -> Iterator[tuple[str, str]]:
    """Yield the sections of a report: the end of the timeline, and the line that replays a seed."""
    if "workkit.simulation" not in sys.modules:
        return
    message = str(failure.value)
    worlds = _worlds(item, failure)
    for sim in worlds:
        timeline = sim.trace.timeline(last=_SHOWN)
        if not timeline:
            timeline = "(nothing happened)"
        elif timeline.splitlines()[-1] in message:
            continue  # an assertion of the simulation shows its own
        yield f"workkit: the last events (seed {sim.seed!r})", timeline
    yield from write_pages(item, failure.value, worlds)
    seed = _replayed(item, failure.value)
    if seed is not None:
        command = f"pytest {shlex.quote(item.nodeid.partition('[')[0])}"
        again = f"{command} --workkit-seed={seed}"
        if "." in seed:  # only `explore` plays variants
            again = f"WORKKIT_SEEDS={seed} {command}"
        yield "workkit: to replay this failure", again


def _worlds(item: pytest.Item, failure: pytest.ExceptionInfo[BaseException]) -> list[Simulation]:
    """Return the worlds among the fixtures and the local variables of a test."""
    from workkit.simulation import Simulation

    known: list[Any] = [*getattr(item, "funcargs", {}).values()]
    function = getattr(item, "function", None)
    code = getattr(function, "__code__", None)
    for entry in failure.traceback:
        if entry.frame.code.raw is code:
            known += entry.frame.f_locals.values()
    found: list[Simulation] = []
    for each in known:
        if isinstance(each, Simulation) and all(each is not sim for sim in found):
            found.append(each)
    return found


def _replayed(item: pytest.Item, error: BaseException) -> str | None:
    """Return the seed that replays a failure: of `workkit_sim`, or of a world of `explore`.

    That of a world of `explore` may be a variant, such as "41.3".
    """
    from workkit.simulation import ScenarioFailed

    if isinstance(error, ScenarioFailed):
        return error.failure.case.name
    sim = getattr(item, "funcargs", {}).get("workkit_sim")
    return None if sim is None else str(sim.seed)
