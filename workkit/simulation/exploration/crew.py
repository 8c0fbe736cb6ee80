"""Plays many worlds at once, on all cores, where the scenario can be taken along."""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from workkit.simulation.exploration.playing import PlayResult, PlaySettings, WorldCase, play

__all__ = ["load_file", "play_all"]

#: Fewer worlds than this are not worth the start of a process.
_FEW: Final = 12
#: Worlds that wait for each process, so that none is ever idle.
_AHEAD: Final = 3

_settings: PlaySettings | None = None


def play_all(
    settings: PlaySettings, cases: Iterable[WorldCase], *, count: int, processes: int | None = None
) -> Iterator[PlayResult]:
    """Play worlds, and yield what has become of each, as they end.

    Args:
        settings: How they are played.
        cases: Which.
        count: How many these are, about.
        processes: At how many at once; by default as many as there are cores, or one where that is
            not worth it or where the scenario is no function of a module.
    """
    packed = _pack(settings) if processes != 1 and (processes or count >= _FEW) else None
    if packed is None:
        with _quiet():
            for case in cases:
                yield play(settings, case)
        return
    workers = min(processes or os.cpu_count() or 1, count)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_prepare, initargs=packed
    ) as pool:
        left = iter(cases)
        try:
            yield from _in_turn(pool.submit, left, workers * _AHEAD)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_turn(
    submit: Callable[..., Future[PlayResult]], cases: Iterator[WorldCase], ahead: int
) -> Iterator[PlayResult]:
    """Keep a few worlds under way; who asks no more wants no more played."""
    waiting = {submit(_play, case) for case in islice(cases, ahead)}
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        waiting |= {submit(_play, case) for case in islice(cases, len(done))}
        for future in done:
            yield future.result()


def _pack(settings: PlaySettings) -> tuple[bytes, str, str, list[str]] | None:
    """Return what another process needs to play; None if it cannot."""
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
    """Make a process ready to play."""
    global _settings  # noqa: PLW0603 - a process plays one scenario
    sys.path[:] = path
    found = importlib.util.find_spec(module) if "." not in module else None
    if module not in sys.modules and (found is None or found.origin != file):
        load_file(Path(file), module)
    logging.getLogger("workkit").setLevel(logging.CRITICAL)
    _settings = pickle.loads(packed)  # noqa: S301 - our parent has written it


def load_file(file: Path, module: str) -> ModuleType:
    """Import a file under a name.

    Raises:
        ImportError: It is no Python file.
    """
    spec = importlib.util.spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    loaded = sys.modules[module] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def _play(case: WorldCase) -> PlayResult:
    assert _settings is not None  # noqa: S101 - prepared
    return play(_settings, case)


class _quiet:  # noqa: N801 - used as a word
    """Keeps the engine's log of what goes wrong out of the way: it is meant to go wrong."""

    def __enter__(self) -> None:
        logger = logging.getLogger("workkit")
        self._level = logger.level
        logger.setLevel(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("workkit").setLevel(self._level)
