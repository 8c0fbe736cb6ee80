"""Refuses what names nothing: with a fault that never strikes, a test passes and shows nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from fakeredis import _commands

from workkit.core.options import near_match, shown
from workkit.errors import InvalidOption
from workkit.simulation.faults import Fault, Faults
from workkit.store.scripts import all_scripts

__all__ = [
    "NoSuchFault",
    "check_choice",
    "check_faults",
    "check_indexes",
    "check_pool",
    "check_step",
    "read_command",
]


class NoSuchFault(InvalidOption):
    """An index names a fault that the plan of the seed does not have."""


def check_pool(pool: object, pools: Sequence[object]) -> None:
    """Refuse what is not a pool of the world.

    Raises:
        InvalidOption: The message says what to pass.
    """
    if not any(each is pool for each in pools):
        raise InvalidOption(
            f"a fault strikes a pool of this simulation: pass what sim.pool(...) returned, or one "
            f"of sim.pools, not {shown(pool)}"
        )


def read_command(which: object) -> tuple[int, str]:
    """Read which command of a pool is meant.

    Args:
        which: A name, or N for the Nth command from now.

    Returns:
        At which matching command, and its name as the simulator writes it; "" matches any.

    Raises:
        InvalidOption: Pools have no such command.
    """
    if isinstance(which, int) and not isinstance(which, bool):
        if which < 1:
            raise InvalidOption(f"commands are counted from 1, not {which}")
        return which, ""
    scripts = {each.name for each in all_scripts()}
    verbs = {each.upper() for each in _commands.SUPPORTED_COMMANDS if " " not in each}
    if isinstance(which, str):
        for name in (which, which.upper()):
            if name in scripts or name in verbs:
                return 1, name
    raise InvalidOption(
        f"there is no command {shown(which)}{near_match(str(which), scripts)}; write the name of a "
        "script of workkit, such as 'exchange', a verb of Redis, such as 'LRANGE', or N for the "
        "Nth command from now"
    )


def check_choice(what: str, value: object, known: Collection[str]) -> None:
    """Refuse a word that is not one of a few.

    Raises:
        InvalidOption: The message lists them.
    """
    if value not in known:
        words = ", ".join(repr(each) for each in known)
        raise InvalidOption(f"{what} must be one of {words}, not {shown(value)}")


def check_step(seconds: object) -> None:
    """Refuse a step of a clock that is not a finite number.

    Raises:
        InvalidOption: The message has the value.
    """
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds):  # type: ignore[arg-type]
        raise InvalidOption(
            f"the step of sim.step_clock must be a number of seconds, not {shown(seconds)}"
        )


def check_faults(faults: object) -> None:
    """Refuse what is neither rates nor a plan.

    Raises:
        InvalidOption: The message shows both forms.
    """
    is_plan = isinstance(faults, Sequence) and all(isinstance(each, Fault) for each in faults)
    if faults is not None and not isinstance(faults, Faults) and not is_plan:
        raise InvalidOption(
            "faults must be rates per hour, such as Faults(crash=4), or a list of Fault, "
            f"not {shown(faults)}"
        )


def check_indexes(indexes: Sequence[int] | None, planned: int) -> None:
    """Refuse indexes of faults that a plan does not have.

    Raises:
        NoSuchFault: The message says which there are.
    """
    for each in indexes or ():
        if not 0 <= each < planned:
            there = f"its faults are 0 to {planned - 1}" if planned else "it has no faults"
            raise NoSuchFault(f"the plan of this seed has no fault {each}: {there}")
