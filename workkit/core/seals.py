"""Seals of the record of acts: a key that only some programs have, and what it vouches for."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from workkit.errors import InvalidOption

__all__ = ["KEY_VARIABLE", "Seal", "Sealed", "seal_here"]

#: The key; an older one may follow, with a space between them.
KEY_VARIABLE: Final = "WORKKIT_AUDIT_KEY"
#: Shorter keys are refused, characters.
_SHORTEST: Final = 16
#: The end of a sealed body: the head of the chain that its writer saw, and the HMAC.
_END: Final = re.compile(
    rb',"seen":\[(?P<number>\d{1,15}),"(?P<link>[0-9a-f]{0,64})"\],"mac":"(?P<mac>[0-9a-f]{64})"\}\Z'
)


class Sealed(NamedTuple):
    """What a valid seal vouches for, beside the body.

    Attributes:
        number: The number of the newest entry that the writer saw; 0 for none.
        link: Its digest.
        mac: The HMAC.
    """

    number: int
    link: bytes
    mac: bytes


class Seal:
    """Seals entries with HMAC-SHA-256.

    Args:
        keys: The first one seals; all are tried to verify.
        namespace: Entries of another namespace have other seals.

    Raises:
        InvalidOption: A key is too short.
    """

    def __init__(self, keys: Sequence[str], namespace: str) -> None:
        for key in keys:
            if len(key) < _SHORTEST:
                raise InvalidOption(
                    f"{KEY_VARIABLE} has a key of {len(key)} characters, and {_SHORTEST} are the "
                    "least; make one with: openssl rand -hex 32"
                )
        self._keys = [key.encode("utf-8", "surrogateescape") for key in keys]
        self._namespace = namespace.encode()

    def seal(self, body: bytes, number: int, link: bytes) -> bytes:
        """Return a body with a seal.

        Args:
            body: A JSON object.
            number: The number of the newest entry of the chain; 0 for none.
            link: Its digest.
        """
        known = link if re.fullmatch(rb"[0-9a-f]{0,64}", link) else b""
        sealed = b'%s,"seen":[%d,"%s"]' % (body.removesuffix(b"}"), number, known)
        return b'%s,"mac":"%s"}' % (sealed, self._mac(self._keys[0], sealed))

    def read(self, body: bytes) -> Sealed | None:
        """Return what the seal of a body vouches for; None without a valid seal."""
        end = _END.search(body)
        if end is None:
            return None
        sealed = body[: end.start("mac") - len(b',"mac":"')]
        for key in self._keys:
            if hmac.compare_digest(self._mac(key, sealed), end["mac"]):
                return Sealed(int(end["number"]), end["link"], end["mac"])
        return None

    def _mac(self, key: bytes, sealed: bytes) -> bytes:
        content = self._namespace + b"\n" + sealed
        return hmac.new(key, content, hashlib.sha256).hexdigest().encode()


def seal_here(namespace: str) -> Seal | None:
    """Return the seal of this process; None if it has no key.

    Args:
        namespace: The prefix of all keys.

    Raises:
        InvalidOption: The key is too short.
    """
    keys = os.environ.get(KEY_VARIABLE, "").split()
    return Seal(keys, namespace) if keys else None
