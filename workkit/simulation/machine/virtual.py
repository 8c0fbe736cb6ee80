"""Replaces time and chance for the code that runs on simulated hosts, while a world runs.

Everything else in the process (the test, pytest, other threads) gets the real time, also meanwhile:
each replacement asks which host the current thread works for. time-machine replaces wall time in
C, so it also reaches `from time import time` and classes of `datetime`. The others are replaced in
their modules, and under the names by which modules of the user have imported them.
"""

from __future__ import annotations

import _thread
import asyncio
import asyncio.runners
import asyncio.tasks
import importlib
import operator
import os
import random  # noqa: TID251 - its global generator gets the seed of the world
import sys
import tempfile
import threading
import time
import uuid  # its functions are replaced where they are random
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

from workkit.core.entropy import Entropy
from workkit.errors import InvalidOption, MissingExtra
from workkit.simulation.machine.clocks import CLOCKS
from workkit.simulation.machine.handler_stack import AwaitRequest, SleepRequest
from workkit.simulation.machine.inside import HERE
from workkit.simulation.machine.parking import current_stack
from workkit.simulation.machine.refusing import NotSimulated, listen, refuse
from workkit.simulation.machine.waiting import WAITS

__all__ = ["VirtualTime"]

_KINDS: Final = frozenset({BuiltinFunctionType, FunctionType, MethodType})
#: The bit by which uuid1 tells a random number from that of a network card.
_RANDOM_NODE: Final = 1 << 40
#: Modules whose imported names stay, with those of the standard library: they measure real time.
_LEFT_ALONE: Final = sys.stdlib_module_names | {"time_machine", "workkit", "pytest_workkit"}

_real_sleep = time.sleep  # noqa: TID251 - for everybody else
_real_urandom = os.urandom
_real_getrandom = getattr(os, "getrandom", None)
_real_candidate_names: Any = tempfile._get_candidate_names  # type: ignore[attr-defined] # noqa: SLF001 - all names come from it
_real_seed = random.seed
_real_seed_method = random.Random.seed
_real_getnode = uuid.getnode
_real_run = asyncio.run
_real_loop_init = asyncio.BaseEventLoop.__init__
_real_as_completed = asyncio.as_completed
_real_start_new_thread = _thread.start_new_thread


# Time. The clocks are in another module.


def _sleep(seconds: float, /) -> None:
    """Sleep as `time.sleep` does: a timeout interrupts it only when it is over."""
    host = HERE.host
    if host is None:
        _real_sleep(seconds)
        return
    delay_s = seconds if isinstance(seconds, float) else operator.index(seconds)
    if delay_s != delay_s:  # noqa: PLR0124 - only NaN differs from itself
        raise ValueError("Invalid value NaN (not a number)")
    if delay_s < 0:
        raise ValueError("sleep length must be non-negative")
    stack = current_stack()
    if stack is None:
        if not host.name:
            raise NotSimulated(
                "a planned call of sim.at cannot sleep: plan the rest with another sim.at, or "
                "plan an async function that awaits asyncio.sleep"
            )
        error = host.world.refused = NotSimulated(
            f"time.sleep({seconds!r}) in async code on {host.name} would block the event loop of "
            "the pool, and with it all async handlers. Instead, write await asyncio.sleep(...)"
        )
        raise error
    stack.ask(SleepRequest(delay_s, interruptible=False))


# Chance.


def _urandom(size: int, /) -> bytes:
    host = HERE.host
    return _real_urandom(size) if host is None else host.world.chance.octets(size)


def _getrandom(size: int, flags: int = 0) -> bytes:
    host = HERE.host
    if host is None:
        return bytes(_real_getrandom(size, flags))  # type: ignore[misc] # replaced only if it exists
    return host.world.chance.octets(size)


def _candidate_names() -> Iterator[str]:
    """Return what `tempfile` tries as names of files, until one is free."""
    host = HERE.host
    return iter(_real_candidate_names() if host is None else _drawn_names(host.world.chance))


def _drawn_names(chance: Entropy) -> Iterator[str]:
    while True:
        yield chance.octets(5).hex()


def _getnode() -> int:
    """Return the number of the host's network card, in the form of a random one."""
    host = HERE.host
    return _real_getnode() if host is None else _RANDOM_NODE | zlib.crc32(host.name.encode())


def _seed(a: Any = None, version: int = 2) -> None:
    _real_seed(_drawn(a), version)


def _seed_method(self: random.Random, a: Any = None, version: int = 2) -> None:
    _real_seed_method(self, _drawn(a), version)


def _drawn(seed: Any) -> Any:
    """Return a seed; on a host, in place of none, one from the seed of the world."""
    host = HERE.host
    return seed if seed is not None or host is None else host.world.chance.octets(32)


# asyncio and threads.


def _run(main: Any, **options: Any) -> Any:
    """Run a coroutine of a sync handler on the loop of its pool."""
    host, stack = HERE.host, current_stack()
    if host is None or stack is None or not asyncio.iscoroutine(main):
        return _real_run(main, **options)
    return stack.ask(AwaitRequest(main))


def _loop_init(self: Any) -> None:
    """Begin a loop, however it is made: by `asyncio.Runner`, by a policy or by its class."""
    host = HERE.host
    if host is not None:
        self._closed = True  # its __del__ asks
        refuse(host, "loops")
    _real_loop_init(self)


def _as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Any:
    """Make the tasks in their order: asyncio makes them in that of a set of coroutines."""
    if HERE.host is not None and not (asyncio.isfuture(fs) or asyncio.iscoroutine(fs)):
        fs = [asyncio.ensure_future(each) for each in fs]
    return _real_as_completed(fs, timeout=timeout)


def _start_new_thread(function: Callable[..., Any], *arguments: Any) -> int:
    host = HERE.host
    if host is not None:
        refuse(host, "threads", getattr(getattr(function, "__self__", None), "name", ""))
    return _real_start_new_thread(function, *arguments)


class _Replacement(NamedTuple):
    """A replaced name.

    Attributes:
        place: The module or class.
        name: The attribute.
        real: What it is.
        virtual: What it becomes while a world runs.
    """

    place: Any
    name: str
    real: Any
    virtual: Any


def _replacements() -> Iterator[_Replacement]:
    for place, name, real, virtual in (*CLOCKS, *WAITS):
        yield _Replacement(place, name, real, virtual)
    yield _Replacement(time, "sleep", _real_sleep, _sleep)
    yield _Replacement(os, "urandom", _real_urandom, _urandom)
    if _real_getrandom is not None:
        yield _Replacement(os, "getrandom", _real_getrandom, _getrandom)
    yield _Replacement(tempfile, "_get_candidate_names", _real_candidate_names, _candidate_names)
    yield _Replacement(random, "_urandom", _real_urandom, _urandom)  # of SystemRandom and secrets
    yield _Replacement(uuid, "getnode", _real_getnode, _getnode)
    yield _Replacement(random, "seed", _real_seed, _seed)
    yield _Replacement(random.Random, "seed", _real_seed_method, _seed_method)
    for module in (asyncio, asyncio.runners):
        yield _Replacement(module, "run", _real_run, _run)
    yield _Replacement(asyncio.BaseEventLoop, "__init__", _real_loop_init, _loop_init)
    for module in (asyncio, asyncio.tasks):
        yield _Replacement(module, "as_completed", _real_as_completed, _as_completed)
    if sys.version_info < (3, 12):  # later ones have audit events for it
        # Not Thread.start: libraries such as Sentry's replace that for the life of the process.
        for module, name in ((_thread, "start_new_thread"), (threading, "_start_new_thread")):
            yield _Replacement(module, name, _real_start_new_thread, _start_new_thread)


class _ImportedNames:
    """The names of modules that stand for something replaced, such as `from time import sleep`.

    A module is searched when it is new or has new names, once others have been imported.
    """

    def __init__(self, replacements: Iterable[_Replacement]) -> None:
        self._virtual = {id(each.real): each for each in replacements}
        self._sizes: dict[str, int] = {}
        self._modules = 0
        self.found: list[_Replacement] = []

    def search(self) -> bool:
        """Search the modules that have changed; tell whether there may be some."""
        if len(sys.modules) == self._modules:
            return False
        self._modules = len(sys.modules)
        for name, module in list(sys.modules.items()):
            given: object = module
            if not issubclass(type(given), ModuleType):
                continue  # such as a class that loads its module when it is touched
            names = vars(module)
            if self._sizes.get(name) == len(names):
                continue
            self._sizes[name] = len(names)
            if name.partition(".")[0] not in _LEFT_ALONE:
                self._search(module, names)
        return True

    def _search(self, module: ModuleType, names: dict[str, Any]) -> None:
        for name, value in list(names.items()):
            # Not isinstance: it would wake lazy objects, such as the settings of Django.
            if type(value) in _KINDS and (known := self._virtual.get(id(value))) is not None:
                self.found.append(_Replacement(module, name, known.real, known.virtual))


_REPLACEMENTS: Final = tuple(_replacements())
_imported = _ImportedNames(_REPLACEMENTS)
#: How many worlds are open.
_open = 0
_replaced: list[_Replacement] = []


def _replace() -> None:
    for each in (*_REPLACEMENTS, *_imported.found):
        # A test may have replaced it by something else; that stays.
        if vars(each.place).get(each.name) is each.real:
            setattr(each.place, each.name, each.virtual)
            _replaced.append(each)


def _restore() -> None:
    while _replaced:
        each = _replaced.pop()
        if vars(each.place).get(each.name) is each.virtual:
            setattr(each.place, each.name, each.real)


class VirtualTime:
    """A context in which handlers have the time of their hosts, and chance from the seed.

    Args:
        seed: The seed of the world.

    Attributes:
        is_open: Whether it has been entered, and not closed since.

    Raises:
        MissingExtra: time-machine is not installed.
    """

    def __init__(self, seed: int | str) -> None:
        try:
            import time_machine
        except ImportError:
            raise MissingExtra("the time of handlers in a simulation", "simulation") from None
        self._machine = time_machine
        self._travel = time_machine.travel(0, tick=False)
        self._chance = random.Random(f"{seed}/chance").getstate()
        self._chance_outside: Any = None
        self._numpy_seed = Entropy(f"{seed}/numpy").below(2**32)
        self._numpy: Any = None
        self._numpy_outside: Any = None
        self.is_open = False

    def _time_ns(self) -> int:
        host = HERE.host
        if host is None:
            real: int = self._machine.escape_hatch.time.time_ns()
            return real
        return host.clock.wall_ns()

    def __enter__(self) -> None:
        """Begin.

        Raises:
            InvalidOption: freezegun has replaced the time already.
        """
        try:
            traveller = self._travel.start()
        except RuntimeError as error:
            raise InvalidOption(
                f"{error} The simulation has its own time: Simulation(start=...) sets it; or keep "
                "the real time in handlers with Simulation(patch=False)"
            ) from None
        traveller.time_ns = self._time_ns  # type: ignore[method-assign] # the C code calls it
        self._open()
        self._chance_outside = random.getstate()
        random.setstate(self._chance)
        self._enter_numpy()

    def __exit__(self, *_: object) -> None:
        """End."""
        self._leave_numpy()
        self._chance = random.getstate()
        random.setstate(self._chance_outside)
        self._travel.stop()

    def _open(self) -> None:
        """Replace the functions, from now until the world is closed."""
        global _open  # noqa: PLW0603 - worlds share the process
        searched = _imported.search()
        if searched or not _open:
            _replace()
        if not self.is_open:
            listen()
            self.is_open = True
            _open += 1

    def close(self) -> None:
        """Put the functions back, if no other world is open."""
        global _open  # noqa: PLW0603
        if self.is_open:
            self.is_open = False
            _open -= 1
            if not _open:
                _restore()

    def _enter_numpy(self) -> None:
        if "numpy" in sys.modules:
            numpy = importlib.import_module("numpy.random")  # it loads this part when it is used
            self._numpy_outside = numpy.get_state()
            if self._numpy is None:
                numpy.seed(self._numpy_seed)
            else:
                numpy.set_state(self._numpy)

    def _leave_numpy(self) -> None:
        if self._numpy_outside is not None:
            numpy = sys.modules["numpy.random"]
            self._numpy = numpy.get_state()
            numpy.set_state(self._numpy_outside)
            self._numpy_outside = None
