"""The pytest plugin of workkit: fixtures for tests without a server, and for the simulator.

It is a separate package, so that pytest does not load workkit and a Redis client before a test uses
a fixture.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from workkit import Tasks
    from workkit.simulation import Simulation
    from workkit.tasks import RecordedCall

__all__: list[str] = []

_MARKER: Final = "workkit_seeds"
_SEED: Final = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that replays a seed."""
    parser.getgroup("workkit").addoption(
        "--workkit-seed",
        type=int,
        metavar="SEED",
        help="run tests that use workkit_sim with this seed only",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(n, **options): run a test that uses workkit_sim with the seeds 0 to n - 1; the "
        "options are those of workkit.simulation.Simulation",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each seed."""
    if "workkit_sim" not in metafunc.fixturenames:
        return
    seed = metafunc.config.getoption("--workkit-seed")
    marker = metafunc.definition.get_closest_marker(_MARKER)
    if seed is not None:
        seeds = [seed]
    elif marker is not None and marker.args:
        seeds = list(range(_count(marker.args[0])))
    else:
        seeds = [0]
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
    request.node.stash[_SEED] = seed
    marker = request.node.get_closest_marker(_MARKER)
    with Simulation(seed=seed, **(marker.kwargs if marker else {})) as sim:
        yield sim


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the command that replays a failure to its report."""
    outcome: Any = yield
    report = outcome.get_result()
    seed = item.stash.get(_SEED, None)
    if seed is not None and report.when == "call" and report.failed:
        test = item.nodeid.partition("[")[0]
        line = f"pytest {shlex.quote(test)} --workkit-seed={seed}"
        report.sections.append(("workkit: to replay this failure", line))
