"""The pytest plugin of workkit: fixtures for tests without a server, and for the simulator.

It is a separate package, so that pytest does not load workkit and a Redis client before a test uses
a fixture.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_workkit.determinism import check_determinism, write_trace
from pytest_workkit.failures import explain, hide_own_frames

if TYPE_CHECKING:
    from workkit import Tasks
    from workkit.simulation import Simulation
    from workkit.tasks import RecordedCall

__all__: list[str] = []

_MARKER: Final = "workkit_seeds"
#: Tells `explore` which seeds it plays, in place of its own.
_SEEDS: Final = "WORKKIT_SEEDS"
_ENVIRONMENT: Final = pytest.StashKey[str | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose seeds."""
    group = parser.getgroup("workkit")
    group.addoption(
        "--workkit-seed",
        type=_seed,
        metavar="SEED",
        help="run tests that use workkit_sim or explore with this seed only",
    )
    group.addoption(
        "--workkit-seeds",
        type=_count_option,
        metavar="N",
        help="run tests that use workkit_sim or explore with the seeds 0 to N - 1",
    )

    group.addoption(
        "--workkit-check-determinism",
        action="store_true",
        help="play the world of each test that uses workkit_sim again in two processes with two "
        "hash seeds, and fail the test at the first event that differs",
    )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 on, not {text!r}")
    return int(text)


def _count_option(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"write a whole number of at least 1, not {text!r}")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and tell `explore` its seeds."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(n, **options): run a test that uses workkit_sim with the seeds 0 to n - 1; the "
        "options are those of workkit.simulation.Simulation",
    )
    seeds = _chosen(config)
    if seeds is not None:
        config.stash[_ENVIRONMENT] = os.environ.get(_SEEDS)
        os.environ[_SEEDS] = f"{seeds.start}-{seeds.stop - 1}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let `explore` play its own seeds again."""
    if _ENVIRONMENT in config.stash:
        before = config.stash[_ENVIRONMENT]
        if before is None:
            del os.environ[_SEEDS]
        else:
            os.environ[_SEEDS] = before


def _chosen(config: pytest.Config) -> range | None:
    """Return the seeds that the command line chooses, or None."""
    seed, count = config.getoption("--workkit-seed"), config.getoption("--workkit-seeds")
    if seed is not None and count is not None:
        raise pytest.UsageError("--workkit-seed chooses one seed, --workkit-seeds many; give one")
    if seed is not None:
        return range(seed, seed + 1)
    return None if count is None else range(count)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each seed."""
    if "workkit_sim" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker(_MARKER)
    seeds = _chosen(metafunc.config)
    if seeds is None:
        seeds = range(_count(marker.args[0]) if marker is not None and marker.args else 1)
    metafunc.parametrize("workkit_sim", seeds, indirect=True, ids=[f"seed{seed}" for seed in seeds])


def _count(count: Any) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise pytest.UsageError(f"{_MARKER}(n) takes a whole number of at least 1, not {count!r}")
    return count


@pytest.fixture
def workkit_tasks() -> Tasks:
    """The registry of `workkit_recorded` and `workkit_inline`; a project defines it itself."""
    raise pytest.UsageError(
        "define the fixture workkit_tasks in conftest.py; it returns your Tasks registry"
    )


@pytest.fixture
def workkit_recorded(workkit_tasks: Tasks) -> Iterator[list[RecordedCall]]:
    """Jobs that the test has enqueued, from any thread or event loop; none is run."""
    with workkit_tasks.recorded(everywhere=True) as calls:
        yield calls


@pytest.fixture
def workkit_resources() -> Sequence[object]:
    """The objects for parameters of `workkit_inline` that a lifespan provides in a pool."""
    return ()


@pytest.fixture
def workkit_inline(
    workkit_tasks: Tasks, workkit_resources: Sequence[object]
) -> Iterator[list[RecordedCall]]:
    """Run the jobs that the test enqueues, from any thread or event loop, at once."""
    with workkit_tasks.inline(*workkit_resources, everywhere=True) as calls:
        yield calls


@pytest.fixture
def workkit_sim(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """A simulated world. Its seed comes from --workkit-seed or the marker workkit_seeds."""
    from workkit.simulation import Simulation

    seed: int = request.param
    marker = request.node.get_closest_marker(_MARKER)
    with Simulation(seed=seed, **(marker.kwargs if marker else {})) as sim:
        yield sim
        write_trace(sim)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the last events of the world and the command that replays it to a failure."""
    if call.excinfo is not None and not item.config.getoption("fulltrace"):
        hide_own_frames(call.excinfo)
    report: pytest.TestReport = yield
    if call.when == "call" and report.failed and call.excinfo is not None:
        report.sections += explain(item, call.excinfo)
    checks = item.config.getoption("--workkit-check-determinism")
    if call.when == "call" and report.passed and checks:
        check_determinism(item, report)
    return report
