"""Valid payloads, and mangled ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from workkit.core.entropy import Entropy

__all__ = ["JUNK", "SEEDS", "Mutator"]

T = TypeVar("T")

_ID: Final = b"5e5a3f0e1c9b4f3a8e7d2c1b"
_SLOT: Final = b"1700000040"

#: One of each kind that workkit or Go writes.
SEEDS: Final[tuple[bytes, ...]] = (
    b'{"name":"good","id":"%s","t":1700000000,"args":null}' % _ID,
    b'{"name":"good","id":"%s","t":1700000000,"args":{"n":1,"text":"a<b>","f":0.5}}' % _ID,
    b'{"name":"good","id":"%s","t":1700000000,"args":{"big":123456789012345678901234567890}}' % _ID,
    b'{"name":"other","id":"%s","t":1700000000,"args":{"l":[[],{}],"u":"\\u2028\\ud83d\\ude00"}}'
    % _ID,
    b'{"name":"good","id":"%s","t":1700000000,"args":{},"unique":true}' % _ID,
    b'{"name":"good","id":"%s","t":1700000000,"args":{"v":1},"unique":true,'
    b'"unique_key":"fuzz:unique:good:{\\"k\\":1}\\n"}' % _ID,
    b'{"name":"good","id":"%s","t":1700000000,"args":{"v":1},"unique":true,'
    b'"unique_key":"fuzz:unique:good:{}\\n","unique_until":"done"}' % _ID,
    b'{"name":"other","id":"%s","t":1700000000,"args":null,"fails":3,"err":"ValueError: no\\n x",'
    b'"failed_at":1700000001}' % _ID,
    b'{"name":"good","id":"periodic:good:0 * * * * *:1700000040","t":1700000040,"args":null}',
)

#: Values that no field expects.
JUNK: Final[tuple[bytes, ...]] = (
    b"", b"0", b"-1", b"1e400", b"NaN", b"null", b"true", b"[]", b"{}", b'""', b"\xff\xfe", b"\0",
    b"9" * 400, b'"' + b"\\" * 99, b"[" * 2_000, b'{"a":' * 300, b"1700000000.5", b"-0", b"1e3",
    b'"\\ud800"', b"\xf0\x9f\x98\x80", b" ", b"%s", b"../..", b"x" * 5_000, b"inf", b"0x10",
    b"\r\n",
    b"started:nobody", b'{"name":"good"}', b"18446744073709551616", b"-9223372036854775809",
)  # fmt: skip


class Mutator:
    """Mangles bytes, a little or a lot, repeatably by its seed.

    Args:
        entropy: Its dice.
    """

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._ways: Sequence[Callable[[bytearray], None]] = (
            self._flip, self._cut, self._insert, self._repeat, self._swap_value, self._splice,
        )  # fmt: skip

    def payload(self) -> bytes:
        """Return a mangled payload; one in sixteen is as it should be."""
        # Each has its own id: in a set, jobs with the same bytes are one job.
        own_id = self._entropy.identifier().encode()
        slot = str(1_700_000_000 + self._entropy.below(10**9)).encode()
        raw = bytearray(self.choose(SEEDS).replace(_ID, own_id).replace(_SLOT, slot))
        for _ in range(self._entropy.below(16) and 1 + self._entropy.below(4)):
            self.choose(self._ways)(raw)
        return bytes(raw)

    def junk(self) -> bytes:
        """Return a value that no field expects, or a mangled payload."""
        return self.choose(JUNK) if self._entropy.below(3) else self.payload()

    def choose(self, among: Sequence[T]) -> T:
        """Return one of several."""
        return among[self._entropy.below(len(among))]

    def _at(self, raw: bytearray) -> int:
        return self._entropy.below(len(raw) + 1)

    def _flip(self, raw: bytearray) -> None:
        if raw:
            raw[self._entropy.below(len(raw))] ^= 1 << self._entropy.below(8)

    def _cut(self, raw: bytearray) -> None:
        start, end = sorted((self._at(raw), self._at(raw)))
        del raw[start:end]

    def _insert(self, raw: bytearray) -> None:
        at = self._at(raw)
        raw[at:at] = self.choose(JUNK)

    def _repeat(self, raw: bytearray) -> None:
        start, end = sorted((self._at(raw), self._at(raw)))
        raw[end:end] = raw[start:end] * (1 + self._entropy.below(3))

    def _swap_value(self, raw: bytearray) -> None:
        """Put junk in the place of a field's value."""
        colon = raw.find(b":", self._at(raw))
        if colon >= 0:
            comma = raw.find(b",", colon)
            raw[colon + 1 : comma if comma >= 0 else len(raw) - 1] = self.choose(JUNK)

    def _splice(self, raw: bytearray) -> None:
        """Go on with the rest of another payload."""
        other = self.choose(SEEDS)
        at = self._entropy.below(len(other))
        del raw[self._at(raw) :]
        raw += other[at:]
