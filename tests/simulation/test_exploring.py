"""Many worlds: failures are found, reduced to a few faults, and reproduced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.fleet import everything
from tests.support.handlers import nothing
from workkit.core.entropy import Entropy
from workkit.simulation import (
    Checker,
    Faults,
    ScenarioFailed,
    Simulation,
    explore,
    sweep_crashes,
)
from workkit.simulation.checkers import HandlerRun

MANY = Faults(crash=60, freeze=60, lose=60, drop=60)


class NobodyCrashes(Checker):
    """A rule that one kind of fault breaks."""

    rule = "pool-1 does not crash while it works"

    def __init__(self) -> None:
        self._busy = 0

    def started(self, run: HandlerRun) -> None:
        self._busy += run.pool == "pool-1"

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        self._busy -= run.pool == "pool-1"

    def crashed(self, pool: str) -> None:
        if pool == "pool-1" and self._busy:
            self.violated("it did")


def mails(sim: Simulation) -> None:
    """Two pools and some jobs."""
    for _ in range(2):
        sim.pool(concurrency=2).job("mail", nothing, takes=(1, 5))
    for n in range(60):
        sim.at(n * 2, sim.enqueuer.enqueue, "mail", {"n": n})


def test_what_was_played_is_counted() -> None:
    seen: list[int] = []
    explored = explore(
        mails, range(3), faults=MANY, progress=lambda outcome: seen.append(outcome.case.seed)
    )
    assert seen == [0, 1, 2]
    assert explored.worlds == 3
    assert explored.jobs >= 180
    assert explored.faults > 0
    assert explored.virtual_s > 3 * 180


def test_a_failure_is_shrunk_to_the_faults_that_it_takes() -> None:
    with pytest.raises(ScenarioFailed) as caught:
        explore(mails, range(20), faults=MANY, checkers=[NobodyCrashes()], processes=1)
    failure, text = caught.value.failure, str(caught.value)
    assert failure.rule == "pool-1 does not crash while it works"
    assert len(failure.faults) <= 2 < len(failure.plan)
    assert ("crash", "pool-1") in [(fault.kind, fault.pool) for _, fault in failure.faults]
    for at, fault in failure.faults:
        assert f"[{at}] at {fault.at_s:g} s: {fault.kind} {fault.pool}" in text
    assert "started    mail" in text
    needed = [at for at, _ in failure.faults]
    again = f"explore(SCENARIO, seeds=[{failure.case.seed}], only_faults={needed})"
    assert again in text
    with pytest.raises(ScenarioFailed) as second:
        explore(
            mails, [failure.case.seed], faults=MANY, only_faults=needed, checkers=[NobodyCrashes()]
        )
    assert second.value.failure.timeline == failure.timeline


def never_done(sim: Simulation) -> None:
    """A job that never ends."""
    sim.pool().job("work", nothing, takes=10**9)
    sim.enqueuer.enqueue("work")


def broken(sim: Simulation) -> None:
    """A scenario with a mistake in it."""
    raise KeyError(sim.seed)


def test_a_world_that_does_not_come_to_rest_fails_without_faults() -> None:
    with pytest.raises(ScenarioFailed, match=r"comes to rest[\s\S]*It needs no faults"):
        explore(never_done, [3], settle_s=1_000)


def test_a_mistake_in_a_scenario_is_shown_with_its_place() -> None:
    with pytest.raises(ScenarioFailed, match=r"KeyError\(3\)[\s\S]*in broken"):
        explore(broken, [3])


def test_worlds_are_played_by_several_processes_with_the_same_result() -> None:
    alone = explore(mails, range(4), faults=MANY, processes=1)
    assert explore(mails, range(4), faults=MANY, processes=2) == alone


def test_a_scenario_that_cannot_be_taken_along_is_played_here() -> None:
    def inner(sim: Simulation) -> None:
        mails(sim)

    explored = explore(inner, range(13), faults=None, trouble_s=1)
    assert explored.worlds == 13


def test_each_seed_draws_rates_of_its_own() -> None:
    drawn = [MANY.swarm(Entropy(seed)) for seed in range(40)]
    assert all(each.crash <= 60 and each.away == 0 for each in drawn)
    assert any(each.crash == 0 for each in drawn)
    assert len({each.crash for each in drawn}) > 10


def short(sim: Simulation) -> None:
    """A scenario with a handful of commands."""
    for _ in range(2):
        pool = sim.pool(concurrency=2)
        pool.job("mail", nothing, takes=1, max_fails=2, backoff=lambda job: 2)
    sim.enqueuer.enqueue("mail", {"n": 1})
    sim.enqueuer.enqueue_unique_in_by_key("mail", 2, {"n": 2}, {"k": 1})
    sim.enqueuer.enqueue_unique_in_by_key("mail", 2, {"n": 3}, {"k": 1})


def test_no_crash_at_any_command_loses_a_job() -> None:
    explored = sweep_crashes(short, for_s=6)
    assert explored.worlds > 60


def test_a_sweep_names_the_command_at_which_it_failed() -> None:
    with pytest.raises(ScenarioFailed, match=r"faults=\[Fault\(kind='crash'.*pool='pool-1'"):
        sweep_crashes(short, for_s=6, checkers=[NobodyCrashes()])


@pytest.mark.parametrize("seed", range(10))
def test_the_engine_holds_every_rule_whatever_goes_wrong(seed: int) -> None:
    explore(everything, [seed])


def test_a_scenario_is_found_by_its_file_where_its_module_cannot_be_imported(
    tmp_path: Path,
) -> None:
    from workkit.simulation.exploration.parallel import load_file

    file = tmp_path / "my_scenario.py"
    file.write_text(
        "def scenario(sim):\n"
        "    sim.pool().job('work', lambda job: None)\n"
        "    sim.enqueuer.enqueue('work')\n"
    )
    scenario = load_file(file, "my_scenario").scenario
    assert explore(scenario, range(2), processes=2).worlds == 2
