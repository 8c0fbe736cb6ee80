"""Plays worlds of the engine in this folder: `python -m tests.simulation.mutants.hunting ...`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from tests.simulation.fleet import SCENARIOS
from workkit.simulation.exploration.fitting import Fit
from workkit.simulation.exploration.parallel import play_all
from workkit.simulation.exploration.playing import PlaySettings, WorldCase

#: Long enough for jobs that a clock an hour ahead has delayed.
_SETTLE_S = 5_400.0

if __name__ == "__main__":
    import workkit

    here = Path.cwd()
    assert Path(workkit.__file__).is_relative_to(here), f"{workkit.__file__} is not in {here}"
    name, processes, *seeds = sys.argv[1:]
    played, kill, fit = list[int](), None, Fit()
    cases = [WorldCase(int(seed)) for seed in seeds]
    for outcome in play_all(
        replace(PlaySettings(*SCENARIOS[name]), settle_s=_SETTLE_S),
        [cases],
        count=len(cases),
        processes=int(processes),
    ):
        played.append(outcome.case.seed)
        failure = fit.judged(outcome).failure
        if failure is not None:
            needed = played if failure.worlds > 1 else [failure.case.seed]
            kill = {"seeds": needed, "rule": failure.rule, "what": failure.what}
            break
    sys.stdout.write(json.dumps({"played": len(played), "kill": kill}) + "\n")
