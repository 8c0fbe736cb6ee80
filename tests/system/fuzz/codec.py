"""Rules that hold for the codec with any bytes."""

from __future__ import annotations

from typing import Final

from workkit.core import job as wire
from workkit.core.undecodable import bury_undecodable, restore_undecodable
from workkit.errors import InvalidArgs, Undecodable
from workkit.store.keys import Keys

__all__ = ["examine"]

_KEYS: Final = Keys("fuzz")
_ID: Final = "f" * 24
_NOW_S: Final = 1_700_000_000
_GETTERS: Final = ("arg_str", "arg_int", "arg_float", "arg_bool")


def examine(raw: bytes) -> bool:
    """Do everything with some bytes that pools and clients do.

    Returns:
        Whether they are a job.

    Raises:
        AssertionError: Something was lost or changed on the way.
        Exception: Any other is a defect as well.
    """
    try:
        job = wire.decode(raw)
    except Undecodable as reason:
        buried = bury_undecodable(raw, "good", str(reason), _ID, _NOW_S)
        assert restore_undecodable(wire.decode(buried)) == raw
        return False
    args = wire.args_json(raw)
    failed = wire.failed(raw, job.fails + 1, "ValueError: no\n  at x", _NOW_S)
    requeued = wire.splice(raw, t=_NOW_S)
    for changed in (failed, requeued):
        again = wire.decode(changed)
        assert (again.name, again.id, again.unique_key) == (job.name, job.id, job.unique_key)
        assert wire.args_json(changed) == args
    assert wire.decode(failed).fails == job.fails + 1
    assert wire.decode(requeued).enqueued_at == _NOW_S
    wire.id_text(job)
    wire.slot_of(job)
    if job.unique:
        try:
            _KEYS.unique_of(job)
        except InvalidArgs:
            assert not job.unique_key.startswith("fuzz:unique:")
    for key in job.args or {}:
        for getter in _GETTERS:
            getattr(job, getter)(key)
    repr(job)
    return True
