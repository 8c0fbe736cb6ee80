"""Faults as data: drawn from a seed, kept in a plan, and reduced by leaving some out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal

from workkit.core.entropy import Entropy
from workkit.errors import InvalidOption

__all__ = ["Fault", "FaultKind", "Faults"]

FaultKind = Literal[
    "crash", "lose", "drop", "freeze", "step", "slow", "cut", "away", "wipe", "oom", "readonly",
    "stop", "unheard", "deaf", "hold", "failover", "aof", "evict",
    "stall", "outage", "mistype", "orphan", "miscount",
]  # fmt: skip
#: Faults of the server; the others strike a pool.
_OF_SERVER: Final = (
    "away", "wipe", "oom", "readonly", "failover", "aof", "evict", "outage", "mistype", "orphan",
    "miscount",
)  # fmt: skip
#: How many kinds come first: those behind them are drawn last, so that a seed without them keeps
#: its world.
_FIRST: Final = 11
#: Minimum and maximum duration of a fault, seconds; for "crash", the time until the pool restarts.
_LASTS: Final[dict[str, tuple[float, float]]] = {
    "crash": (0.5, 40.0), "freeze": (1.0, 40.0), "slow": (1.0, 30.0), "cut": (0.5, 20.0),
    "away": (0.1, 20.0), "oom": (1.0, 30.0), "readonly": (1.0, 30.0), "stop": (0.5, 20.0),
    "unheard": (0.5, 20.0), "deaf": (0.5, 20.0), "hold": (0.5, 20.0), "failover": (0.1, 10.0),
    "aof": (0.05, 1.0), "stall": (10.0, 40.0), "outage": (20.0, 90.0), "mistype": (1.0, 30.0),
}  # fmt: skip
_STEPS_S: Final = (-3_600.0, 3_600.0)
_SLOW_S: Final = (0.05, 8.0)
_STOP_S: Final = (0.0, 6.0)
_SOON: Final = 12
#: A variant of a plan has at most this many changes, and a fault moves by at most this, seconds.
_CHANGES: Final = 3
_NEAR_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        kind: Faults of a pool: "crash"; "lose" the reply to a command; "drop" a command; "freeze";
            "step" its wall clock; "slow" or "cut" its connections. Faults of Redis: "away"; "wipe"
            its data; refuse writes as a full server ("oom") or as a replica ("readonly").
            "stop" a pool as a deploy does; its requests are lost ("unheard") or the replies are
            ("deaf"); "hold" its requests and release them all at once. Redis loses the newest
            writes: a replica takes over ("failover"), or it crashes and reads its log ("aof");
            it may "evict" a key. "stall" freezes a pool right after a command, "outage" is a long
            "away". In Redis, a key gets a wrong type ("mistype"), and a job is left in the list of
            a pool that is gone ("orphan"); or a lock gets wrong ("miscount").
        at_s: When, seconds since the world began.
        pool: The pool's name; "" for faults of Redis.
        before: Crash before the Nth command of the pool from then; 0 means at once.
        after: Lose or drop the Nth command from then, or crash or stall after it.
        for_s: How long it lasts, seconds; for "crash" and "stop", the time until the restart (0:
            never); for "failover" and "aof", the writes of how many seconds from `at_s` on are
            lost.
        by_s: The step of the clock, the latency of the slow connection for one way, or the timeout
            of the stop, seconds.
    """

    kind: FaultKind
    at_s: float
    pool: str = ""
    before: int = 0
    after: int = 0
    for_s: float = 0.0
    by_s: float = 0.0

    def __str__(self) -> str:
        rest = [self.pool or "redis"]
        if self.before or self.after:
            count, when = (self.before, "before") if self.before else (self.after, "after")
            rest.append(f"{when} command {count} from then")
        if self.by_s:
            rest.append(f"by {self.by_s:g} s")
        if self.for_s:
            rest.append(
                f"{'back after' if self.kind in {'crash', 'stop'} else 'for'} {self.for_s:g} s"
            )
        return f"at {self.at_s:g} s: {self.kind} {', '.join(rest)}"

    def record(self) -> dict[str, Any]:
        """Return the values that differ from the defaults, for JSON."""
        return {
            field.name: value
            for field, value in zip(fields(self), asdict(self).values(), strict=True)
            if value != field.default
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Rates of faults, per hour of virtual time; for faults of pools, per hour and pool.

    Attributes:
        crash: Pools crash at once, or before or after a command, and start again after a while.
        lose: Replies are lost.
        drop: Commands are lost before they reach Redis.
        freeze: Pools freeze.
        step: Wall clocks are stepped, up to an hour either way.
        slow: Connections are slow, up to 8 s one way.
        cut: Connections are cut silently.
        away: Redis is away and refuses connections.
        wipe: Redis loses everything.
        oom: Redis refuses writes as a full server.
        readonly: Redis refuses writes as a replica.
        stop: Pools are stopped as by a deploy, and started again.
        unheard: Requests of pools are lost, and replies arrive.
        deaf: Replies to pools are lost, and requests arrive.
        hold: Requests of pools are held, and arrive all at once.
        failover: Redis loses the writes of up to 10 s, as when a replica that lags takes over.
        aof: Redis crashes and loses the writes of up to a second.
        evict: Redis evicts a key that pools can restore: a limit, a heartbeat or a lease.
        stall: Pools freeze right after a command, before they have its reply.
        outage: Redis is away for a long time.
        mistype: A key that did not exist has a wrong type for a while.
        orphan: A job is left in the list of a pool of which nothing else is left.
        miscount: A lock gets wrong, as if another program had crashed between two writes.
        latency: Minimum and maximum time of a request or a reply for one way, seconds.
        within: Faults begin within this many seconds of the start of the world.
    """

    crash: float = 0.0
    lose: float = 0.0
    drop: float = 0.0
    freeze: float = 0.0
    step: float = 0.0
    slow: float = 0.0
    cut: float = 0.0
    away: float = 0.0
    wipe: float = 0.0
    oom: float = 0.0
    readonly: float = 0.0
    stop: float = 0.0
    unheard: float = 0.0
    deaf: float = 0.0
    hold: float = 0.0
    failover: float = 0.0
    aof: float = 0.0
    evict: float = 0.0
    stall: float = 0.0
    outage: float = 0.0
    mistype: float = 0.0
    orphan: float = 0.0
    miscount: float = 0.0
    latency: tuple[float, float] = (0.0001, 0.003)
    within: float = 3_600.0

    def __post_init__(self) -> None:
        for name, rate in self._rates().items():
            if not 0 <= rate < math.inf:
                raise InvalidOption(f"faults: {name} must be a rate per hour, not {rate!r}")
        if not 0 <= self.latency[0] <= self.latency[1] < math.inf:
            raise InvalidOption(f"faults: latency must be (minimum, maximum), not {self.latency!r}")

    def _rates(self) -> dict[FaultKind, float]:
        kinds: tuple[FaultKind, ...] = FaultKind.__args__  # type: ignore[attr-defined]
        return {kind: getattr(self, kind) for kind in kinds}

    def within_s(self, seconds: float) -> Faults:
        """Return the same rates for another period."""
        return replace(self, within=seconds)

    def swarm(self, entropy: Entropy) -> Faults:
        """Draw rates below these; about half of them are 0.

        Worlds with few but frequent kinds of faults find more than worlds with all kinds at lower
        rates ("swarm testing").
        """
        rates: dict[str, float] = {}
        highest = list(self._rates().items())
        for kind, most in highest[:_FIRST]:
            rates[kind] = round(entropy.uniform(0, most), 3) if entropy.below(2) else 0.0
        slowest_s = self.latency[1] * 10 ** entropy.uniform(0, 2)
        for kind, most in highest[_FIRST:]:
            rates[kind] = round(entropy.uniform(0, most), 3) if entropy.below(2) else 0.0
        latency = (self.latency[0], round(slowest_s, 6))
        return replace(self, latency=latency, **rates)

    def vary(self, entropy: Entropy, pools: Sequence[str], plan: Sequence[Fault]) -> list[Fault]:
        """Change a few faults of a plan: leave one out, move one, or add one beside another.

        Args:
            entropy: The source of random choices.
            pools: The names of the pools.
            plan: The plan; it stays as it is.

        Returns:
            The faults in the order of their times.
        """
        changed = list(plan)
        kinds = [kind for kind, rate in self._rates().items() if rate]
        for _ in range(1 + entropy.below(_CHANGES)):
            at = entropy.below(len(changed)) if changed else -1
            near_s = changed[at].at_s if changed else entropy.uniform(0, self.within)
            at_s = round(min(max(near_s + entropy.uniform(-_NEAR_S, _NEAR_S), 0.0), self.within), 3)
            way = entropy.below(4)
            if changed and way == 0:
                del changed[at]
            elif changed and way == 1:
                changed[at] = replace(changed[at], at_s=at_s)
            elif kinds:
                kind = kinds[entropy.below(len(kinds))]
                pool = "" if kind in _OF_SERVER else pools[entropy.below(len(pools))]
                changed.append(_drawn(kind, at_s, pool, entropy))
        return _in_order(changed)

    def draw(self, entropy: Entropy, pools: Sequence[str]) -> list[Fault]:
        """Draw a plan.

        Args:
            entropy: The source of random choices.
            pools: The names of the pools.

        Returns:
            The faults in the order of their times.
        """
        plan: list[Fault] = []
        for kind, rate in self._rates().items():
            for pool in ("",) if kind in _OF_SERVER else pools:
                at_s = 0.0
                while rate:
                    at_s += -math.log(1 - entropy.uniform(0, 1)) * 3_600 / rate
                    if at_s >= self.within:
                        break
                    plan.append(_drawn(kind, round(at_s, 3), pool, entropy))
        return _in_order(plan)


def _in_order(plan: Sequence[Fault]) -> list[Fault]:
    return sorted(plan, key=lambda fault: (fault.at_s, fault.kind, fault.pool))


def _drawn(kind: FaultKind, at_s: float, pool: str, entropy: Entropy) -> Fault:
    for_s = round(entropy.uniform(*_LASTS[kind]), 3) if kind in _LASTS else 0.0
    before = after = 0
    by_s = 0.0
    if kind == "crash":
        when = entropy.below(3)  # at once, before a command, after one
        count = 1 + entropy.below(_SOON)
        before, after = (0, count, 0)[when], (0, 0, count)[when]
    elif kind in {"lose", "drop", "stall"}:
        after = 1 + entropy.below(_SOON)
    elif kind == "step":
        by_s = round(entropy.uniform(*_STEPS_S), 3)
    elif kind == "slow":
        by_s = round(entropy.uniform(*_SLOW_S), 3)
    elif kind == "stop":
        by_s = round(entropy.uniform(*_STOP_S), 3)
    return Fault(kind, at_s, pool, before, after, for_s, by_s)
