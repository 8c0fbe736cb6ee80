"""Reads what a typed task takes, as living pools publish it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workkit.core.signatures import Signature, read_signature
from workkit.store.calls import beat, publish
from workkit.store.keys import Keys, check_stored_name
from workkit.store.round_trip import Step

__all__ = ["NOTHING", "Published", "published"]


@dataclass(frozen=True, slots=True)
class Published:
    """What pools publish of one task.

    Attributes:
        signature: That of the pool that started last; None if no pool publishes one.
        doubt: Why args that do not fit may still run, as a clause; "" if they do not run.
    """

    signature: Signature | None = None
    doubt: str = ""

    def complaints(self, args: Mapping[str, Any] | None) -> list[str]:
        """Return why args do not fit."""
        return self.signature.complaints(args) if self.signature else []


NOTHING: Final = Published()


def published(keys: Keys, name: str) -> Step[Published]:
    """Read the signature of a task. The newest counts while a deployment rolls.

    Args:
        keys: The namespace.
        name: The job's name.

    Raises:
        InvalidName: The name is not valid.
    """
    check_stored_name(name)
    pool_ids = sorted((yield from beat.registered(keys)))
    if not pool_ids:
        return NOTHING
    found = yield from publish.publishers(keys, pool_ids)
    handling = [each for each in found if name in each.job_names]
    digests = sorted({each.digest for each in handling} - {""})
    if not digests:
        return NOTHING
    raws = yield from publish.signatures_of(keys, name, digests)
    published_by = [each for each in handling if each.digest in raws]
    if not published_by:
        return NOTHING
    newest = max(published_by, key=lambda each: (each.started_at, each.digest))
    signature = read_signature(raws[newest.digest])
    if signature is None:
        return NOTHING
    return Published(signature, _doubt(signature, handling, raws))


def _doubt(
    signature: Signature, handling: list[publish.Publisher], raws: Mapping[str, bytes]
) -> str:
    if len(set(raws.values())) > 1:
        return "pools of another version take other args"
    if any(each.digest not in raws for each in handling):
        return "other pools of this job publish no signature"
    return "the task upgrades older args" if signature.upgrades else ""
