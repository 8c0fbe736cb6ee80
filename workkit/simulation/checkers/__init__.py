"""Checkers: rules that must hold in every world, despite all faults."""

from __future__ import annotations

from workkit.simulation.checkers.accounts import HistoryIsExact, TotalsAreTrue
from workkit.simulation.checkers.acts import ActsAreRecorded, UndoBringsBack
from workkit.simulation.checkers.asked import Asked, AskedIsEnqueued
from workkit.simulation.checkers.asking import AsksAreAnswered
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.bounds import HistoryKeepsItsBounds
from workkit.simulation.checkers.chance import Tally
from workkit.simulation.checkers.claims import TakenSlots
from workkit.simulation.checkers.conservation import (
    ArgsAreKept,
    MembersAreKept,
    NothingIsLeft,
    NothingIsLost,
)
from workkit.simulation.checkers.content import JobsChangeAsTheyMay, SentIsWritten
from workkit.simulation.checkers.cron import CronSlots, SlotsRun
from workkit.simulation.checkers.ending import (
    FormerIdsAreGone,
    OutcomesArrive,
    PoolsWithoutWorkersEnd,
)
from workkit.simulation.checkers.heartbeats import HeartbeatsAreTrue
from workkit.simulation.checkers.holding import HeldJobsRun
from workkit.simulation.checkers.lifetimes import MarksHaveAnEnd
from workkit.simulation.checkers.liveness import (
    DeadPoolsJobsReturn,
    DueJobsMove,
    HealthyPoolsStay,
    IdlePoolsClaim,
    PoolsComeBack,
)
from workkit.simulation.checkers.moves import HandlerRun, JobPlace, Move, PlacedJob, RedisChange
from workkit.simulation.checkers.order import OrderIsKept, StartsFollowClaims
from workkit.simulation.checkers.plans import (
    PlansAreNoted,
    PlansAreWhole,
    RetiredSlotsAreTakenBack,
)
from workkit.simulation.checkers.pools import (
    ForgottenPoolsHoldNothing,
    HandlersAreGivenUp,
    LimitsAreStated,
    RecoveriesGrow,
    StopsEndInTime,
)
from workkit.simulation.checkers.publishing import SignaturesAreTrue
from workkit.simulation.checkers.records import RecordsAreTrue
from workkit.simulation.checkers.restraint import PoolsAskSeldom
from workkit.simulation.checkers.running import (
    ClaimsAreTakenUp,
    LimitsHold,
    LocksAreTrue,
    OneRunForAClaim,
    PausedMeansPaused,
)
from workkit.simulation.checkers.scene import Scene
from workkit.simulation.checkers.shares import SharesFollowPriorities
from workkit.simulation.checkers.slots import SlotsAreAsDeclared, TakenSlotsReturn
from workkit.simulation.checkers.telling import HooksAreCalled, ObservationsAreTrue, ObserversHear
from workkit.simulation.checkers.timing import (
    NobodyAliveIsReaped,
    NothingEarly,
    RetriesKeepTheRules,
)
from workkit.simulation.checkers.uniqueness import UniqueKeysHold
from workkit.simulation.checkers.upkeep import LimitsAreLifted, QueuesAreKnown
from workkit.simulation.checkers.violation import Violation

__all__ = [
    "ActsAreRecorded",
    "ArgsAreKept",
    "Asked",
    "AskedIsEnqueued",
    "AsksAreAnswered",
    "Checker",
    "ClaimsAreTakenUp",
    "CronSlots",
    "DeadPoolsJobsReturn",
    "DueJobsMove",
    "ForgottenPoolsHoldNothing",
    "FormerIdsAreGone",
    "HandlerRun",
    "HandlersAreGivenUp",
    "HealthyPoolsStay",
    "HeartbeatsAreTrue",
    "HeldJobsRun",
    "HistoryIsExact",
    "HistoryKeepsItsBounds",
    "HooksAreCalled",
    "IdlePoolsClaim",
    "JobPlace",
    "JobsChangeAsTheyMay",
    "LimitsAreLifted",
    "LimitsAreStated",
    "LimitsHold",
    "LocksAreTrue",
    "MarksHaveAnEnd",
    "MembersAreKept",
    "Move",
    "NobodyAliveIsReaped",
    "NothingEarly",
    "NothingIsLeft",
    "NothingIsLost",
    "ObservationsAreTrue",
    "ObserversHear",
    "OneRunForAClaim",
    "OrderIsKept",
    "OutcomesArrive",
    "PausedMeansPaused",
    "PlacedJob",
    "PlansAreNoted",
    "PlansAreWhole",
    "PoolsAskSeldom",
    "PoolsComeBack",
    "PoolsWithoutWorkersEnd",
    "QueuesAreKnown",
    "RecordsAreTrue",
    "RecoveriesGrow",
    "RedisChange",
    "RetiredSlotsAreTakenBack",
    "RetriesKeepTheRules",
    "Scene",
    "SentIsWritten",
    "SharesFollowPriorities",
    "SignaturesAreTrue",
    "SlotsAreAsDeclared",
    "SlotsRun",
    "StartsFollowClaims",
    "StopsEndInTime",
    "TakenSlots",
    "TakenSlotsReturn",
    "Tally",
    "TotalsAreTrue",
    "UndoBringsBack",
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
        MarksHaveAnEnd(),
        LimitsHold(),
        LocksAreTrue(),
        RetriesKeepTheRules(),
        CronSlots(),
        SlotsRun(),
        PlansAreNoted(),
        PlansAreWhole(),
        RetiredSlotsAreTakenBack(),
        SlotsAreAsDeclared(),
        TakenSlotsReturn(),
        NothingEarly(),
        PausedMeansPaused(),
        NobodyAliveIsReaped(),
        ArgsAreKept(),
        MembersAreKept(),
        OrderIsKept(),
        HistoryIsExact(),
        HistoryKeepsItsBounds(),
        HealthyPoolsStay(),
        DueJobsMove(),
        DeadPoolsJobsReturn(),
        IdlePoolsClaim(),
        PoolsComeBack(),
        PoolsAskSeldom(),
        HeldJobsRun(),
        OutcomesArrive(),
        PoolsWithoutWorkersEnd(),
        FormerIdsAreGone(),
        StartsFollowClaims(),
        TotalsAreTrue(),
        ForgottenPoolsHoldNothing(),
        LimitsAreStated(),
        RecoveriesGrow(),
        HandlersAreGivenUp(),
        SharesFollowPriorities(),
        StopsEndInTime(),
        AskedIsEnqueued(),
        SentIsWritten(),
        JobsChangeAsTheyMay(),
        HooksAreCalled(),
        ObservationsAreTrue(),
        SignaturesAreTrue(),
        AsksAreAnswered(),
        ObserversHear(),
        ActsAreRecorded(),
        UndoBringsBack(),
        LimitsAreLifted(),
        QueuesAreKnown(),
        HeartbeatsAreTrue(),
        RecordsAreTrue(),
    ]
