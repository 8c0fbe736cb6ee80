"""Verifies the chain of acts: finds entries that were changed, removed or added by others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from workkit.core.seals import KEY_VARIABLE, Seal, seal_here
from workkit.core.text import counted
from workkit.store.calls import acts
from workkit.store.calls.acts import ActRow, ActsHead
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["ActsVerdict", "verify"]

_PAGE: Final = 500
#: Sentences name at most this many entries.
_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class ActsVerdict:
    """Whether the record of acts is whole.

    Attributes:
        kept: How many entries of workkit are in the record.
        first: The number of the oldest; 0 without one.
        last: The number of the newest that was ever written, as far as is known.
        trimmed: How many older entries were trimmed because the record has a bound.
        changed: Numbers of entries whose content or digest was changed.
        missing: Numbers of entries that are gone, but were not trimmed: first and last of each run.
        foreign: Ids of stream entries that workkit has not written.
        lost: How many entries had gone before the entries around them were trimmed.
        resumed: The first entry after the hash with the ends of the chain had gone; 0 if it never
            had. Whether entries before it are missing is not known.
        headless: Whether that hash is gone now, so that missing entries at the ends do not show.
        sealed: How many entries have a valid seal; None if this process has no key.
        unsealed: Numbers of entries without one, after the first that has one; all of them if none
            has.
        contradicted: Numbers of entries whose seal vouches for other entries before them.
    """

    kept: int
    first: int
    last: int
    trimmed: int
    changed: tuple[int, ...] = ()
    missing: tuple[tuple[int, int], ...] = ()
    foreign: tuple[str, ...] = ()
    lost: int = 0
    resumed: int = 0
    headless: bool = False
    sealed: int | None = None
    unsealed: tuple[int, ...] = ()
    contradicted: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.sentences()

    def sentences(self) -> list[str]:
        """Return what is wrong, as sentences without a full stop; none if nothing is."""
        said = []
        if self.changed:
            said.append(f"changed after it was written: {_listed(map(str, self.changed))}")
        if self.missing:
            runs = (f"{a}" if a == b else f"{a} to {b}" for a, b in self.missing)
            said.append(f"missing, and not trimmed: {_listed(runs)}")
        if self.foreign:
            said.append(f"not written by workkit: {_listed(self.foreign)}")
        if self.lost:
            gone = counted(self.lost, "entry was", "entries were")
            said.append(f"{gone} missing when the entries around were trimmed")
        if self.resumed:
            said.append(
                f"the ends of the chain were removed before entry {self.resumed} was written; "
                "what was missing then is not known"
            )
        if self.headless:
            said.append(
                "the ends of the chain were removed; entries that are missing before the first or "
                "after the last do not show"
            )
        if self.unsealed:
            said.append(
                f"without a valid seal of {KEY_VARIABLE}: {_listed(map(str, self.unsealed))}"
            )
        if self.contradicted:
            said.append(
                f"sealed when other entries stood before: {_listed(map(str, self.contradicted))}"
            )
        return said


def _listed(names: Iterator[str] | Sequence[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
    return ("entry " if len(known) == 1 else "entries ") + ", ".join(known[:_NAMED]) + more


def verify(keys: Keys) -> Step[ActsVerdict]:
    """Verify the record.

    Entries that are written or trimmed meanwhile do no harm.
    """
    ends = yield from acts.head(keys)
    rows, low = [], "-"
    while True:
        page = yield from acts.read(keys, low, "+", _PAGE, newest_first=False)
        rows += page
        if len(page) < _PAGE:
            break
        low = f"({page[-1].entry_id}"
    later = yield from acts.head(keys)
    verdict = _judged(rows, ends, later)
    seal = seal_here(keys.namespace)
    return verdict if seal is None else _with_seals(verdict, rows, seal)


def _with_seals(verdict: ActsVerdict, rows: Sequence[ActRow], seal: Seal) -> ActsVerdict:
    """Add what the seals of entries tell.

    Whoever can write Redis can write a new chain, but no seal. Each seal vouches for its entry, and
    by the digest of the newest entry that its writer saw for all entries up to that one. Entries
    from before there was a key have none.
    """
    ours = [row for row in rows if row.number]
    links = {row.number: row.link for row in ours}
    unsealed: list[int] = []
    contradicted: list[int] = []
    known: set[bytes] = set()
    for row in ours:
        sealed = seal.read(row.body)
        if sealed is None:
            unsealed.append(row.number)
            continue
        if not known:
            # Those that its writer saw are from before there was a key; the seal vouches for them.
            unsealed = [number for number in unsealed if number > sealed.number]
        is_copy = sealed.mac in known
        known.add(sealed.mac)
        stands = links.get(sealed.number, sealed.link)  # it may have been trimmed
        if is_copy or sealed.number >= row.number or stands != sealed.link:
            contradicted.append(row.number)
    return replace(
        verdict, sealed=len(known), unsealed=tuple(unsealed), contradicted=tuple(contradicted)
    )


def _judged(rows: Sequence[ActRow], ends: ActsHead, later: ActsHead) -> ActsVerdict:
    """Judge the entries, the oldest first.

    Args:
        rows: The entries.
        ends: The ends of the chain before the entries were read.
        later: The same after that; some of the entries may have been trimmed meanwhile.
    """
    ours = [row for row in rows if row.number]
    chain, double = _in_order(ours)
    base = max(later.base, ends.base)
    changed = double | _changed(chain, ends) | _broken_start(chain, ends, later)
    headless = bool(ours) and not ends.number
    numbers = [row.number for row in chain if row.number > base]
    last = ends.number or (numbers[-1] if numbers else 0)
    start = base if not headless else numbers[0] - 1 if numbers else 0
    return ActsVerdict(
        len(ours),
        ours[0].number if ours else 0,
        max(last, numbers[-1] if numbers else 0),
        later.base - later.lost if not later.resumed else max(later.base - later.resumed + 1, 0),
        tuple(sorted(changed)),
        tuple(_gaps(start, numbers, last)),
        tuple(row.entry_id for row in rows if not row.number),
        later.lost,
        later.resumed,
        headless,
    )


def _in_order(ours: Sequence[ActRow]) -> tuple[list[ActRow], set[int]]:
    """Return the entries with growing numbers, and the numbers that come again or too late."""
    chain: list[ActRow] = []
    double = set()
    for row in ours:
        if chain and row.number <= chain[-1].number:
            double.add(row.number)
        else:
            chain.append(row)
    return chain, double


def _changed(chain: Sequence[ActRow], ends: ActsHead) -> set[int]:
    """Return the entries that do not have the digest that the next entry names.

    The newest entry is held to the digest in the hash. An entry after which nothing can be trusted
    is held to its own digest.
    """
    changed = set()
    expected: dict[int, bytes] = {ends.number: ends.link} if ends.number else {}
    for row in reversed(chain):
        known = expected.get(row.number)
        if row.own() != row.link or (known is not None and known != row.link):
            changed.add(row.number)
        else:
            expected[row.number - 1] = row.before
    return changed


def _broken_start(chain: Sequence[ActRow], ends: ActsHead, later: ActsHead) -> set[int]:
    """Return the first entry, if it does not follow the last one that was trimmed."""
    for known in (ends, later):
        first = next((row for row in chain if row.number == known.base + 1), None)
        if first and known.base and known.base_link and first.before != known.base_link:
            return {first.number}
    return set()


def _gaps(start: int, numbers: Sequence[int], last: int) -> Iterator[tuple[int, int]]:
    before = start
    for number in [*numbers, last + 1]:
        if number > before + 1 and number <= last + 1:
            yield before + 1, number - 1
        before = max(before, number)
