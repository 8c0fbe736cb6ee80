"""Checkers: rules that must hold in every world, despite all faults."""

from __future__ import annotations

from workkit.simulation.checkers.accounts import HistoryIsExact, OrderIsKept
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.claims import TakenSlots
from workkit.simulation.checkers.conservation import (
    ArgsAreKept,
    MembersAreKept,
    NothingIsLeft,
    NothingIsLost,
)
from workkit.simulation.checkers.moves import HandlerRun, JobPlace, Move, PlacedJob, RedisChange
from workkit.simulation.checkers.running import (
    ClaimsAreTakenUp,
    LimitsHold,
    LocksAreTrue,
    OneRunForAClaim,
    PausedMeansPaused,
)
from workkit.simulation.checkers.scene import Scene
from workkit.simulation.checkers.timing import (
    CronSlots,
    DueJobsMove,
    NobodyAliveIsReaped,
    NothingEarly,
    RetriesKeepTheRules,
)
from workkit.simulation.checkers.uniqueness import UniqueKeysHold
from workkit.simulation.checkers.violation import Violation

__all__ = [
    "ArgsAreKept",
    "Checker",
    "ClaimsAreTakenUp",
    "CronSlots",
    "DueJobsMove",
    "HandlerRun",
    "HistoryIsExact",
    "JobPlace",
    "LimitsHold",
    "LocksAreTrue",
    "MembersAreKept",
    "Move",
    "NobodyAliveIsReaped",
    "NothingEarly",
    "NothingIsLeft",
    "NothingIsLost",
    "OneRunForAClaim",
    "OrderIsKept",
    "PausedMeansPaused",
    "PlacedJob",
    "RedisChange",
    "RetriesKeepTheRules",
    "Scene",
    "TakenSlots",
    "UniqueKeysHold",
    "Violation",
    "all_checkers",
]


def all_checkers() -> list[Checker]:
    """Make one checker of each kind; each world needs its own."""
    return [
        NothingIsLost(),
        NothingIsLeft(),
        OneRunForAClaim(),
        ClaimsAreTakenUp(),
        UniqueKeysHold(),
        LimitsHold(),
        LocksAreTrue(),
        RetriesKeepTheRules(),
        CronSlots(),
        NothingEarly(),
        PausedMeansPaused(),
        NobodyAliveIsReaped(),
        ArgsAreKept(),
        MembersAreKept(),
        OrderIsKept(),
        HistoryIsExact(),
    ]
