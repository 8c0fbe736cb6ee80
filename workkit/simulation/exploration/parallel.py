"""Plays many worlds in several processes, if the scenario can be pickled."""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from workkit.simulation.exploration.playing import PlayResult, PlaySettings, WorldCase, play

__all__ = ["load_file", "play_all"]

#: For fewer worlds than this, starting processes costs more than it saves.
_FEW: Final = 12
#: How many worlds are queued for each process, so that no process is ever idle.
_AHEAD: Final = 3

_settings: PlaySettings | None = None


def play_all(
    settings: PlaySettings,
    rounds: Iterable[Sequence[WorldCase]],
    *,
    count: int,
    processes: int | None = None,
) -> Iterator[PlayResult]:
    """Play worlds, and yield the result of each when it ends.

    Args:
        settings: How they are played.
        rounds: The worlds. A round is asked for when all results of the one before were taken.
        count: About how many worlds there are.
        processes: How many processes play them; by default one per core, or only this process if
            there are few worlds or the scenario is not a function of a module.
    """
    packed = _pack(settings) if processes != 1 and (processes or count >= _FEW) else None
    if packed is None:
        with _Quiet():
            for cases in rounds:
                for case in cases:
                    yield play(settings, case)
        return
    workers = min(processes or os.cpu_count() or 1, count)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_prepare, initargs=packed
    ) as pool:
        try:
            for cases in rounds:
                yield from _in_turn(pool.submit, iter(cases), workers * _AHEAD)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_turn(
    submit: Callable[..., Future[PlayResult]], cases: Iterator[WorldCase], ahead: int
) -> Iterator[PlayResult]:
    """Keep a few worlds queued, so that few are left over if the caller stops early."""
    waiting = {submit(_play, case) for case in islice(cases, ahead)}
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        waiting |= {submit(_play, case) for case in islice(cases, len(done))}
        for future in done:
            yield future.result()


def _pack(settings: PlaySettings) -> tuple[bytes, str, str, list[str]] | None:
    """Return the arguments of `_prepare` for another process; None if it cannot play."""
    scenario: Any = settings.scenario
    module = sys.modules.get(getattr(scenario, "__module__", ""))
    file = getattr(module, "__file__", None)
    if file is None or settings.server is not None or scenario.__module__ == "__main__":
        return None
    try:
        return pickle.dumps(settings), scenario.__module__, file, sys.path
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _prepare(packed: bytes, module: str, file: str, path: list[str]) -> None:
    """Prepare a process to play worlds."""
    global _settings  # noqa: PLW0603 - each process plays one scenario
    sys.path[:] = path
    found = importlib.util.find_spec(module) if "." not in module else None
    if module not in sys.modules and (found is None or found.origin != file):
        load_file(Path(file), module)
    logging.getLogger("workkit").setLevel(logging.CRITICAL)
    _settings = pickle.loads(packed)  # noqa: S301 - our parent has written it


def load_file(file: Path, module: str) -> ModuleType:
    """Import a file under a name.

    Raises:
        ImportError: It is not a Python file.
    """
    spec = importlib.util.spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    loaded = sys.modules[module] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def _play(case: WorldCase) -> PlayResult:
    assert _settings is not None  # noqa: S101 - prepared
    return play(_settings, case)


class _Quiet:
    """Silences the engine's log of faults, which are intended here."""

    def __enter__(self) -> None:
        logger = logging.getLogger("workkit")
        self._level = logger.level
        logger.setLevel(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("workkit").setLevel(self._level)
