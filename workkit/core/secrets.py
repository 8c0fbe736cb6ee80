"""The names of secrets: for the console, for snapshots, and for what is sent to others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

__all__ = ["SECRETS", "matcher", "plain_name"]

#: Names of values that are secret; ``*`` stands for anything. Names are compared as `plain_name`
#: returns them.
SECRETS: Final = (
    "*password*", "*passwd*", "*passphrase*", "*pwd*", "pass", "*secret*", "*token*", "*apikey*",
    "*auth", "*authheader*", "*authorization*", "*cookie*", "*credential*", "*privatekey*",
    "*accesskey*", "*signature*", "*bearer*", "jwt", "otp", "pin", "*pincode*", "*sessionid*",
    "dsn", "*databaseurl*", "*cardnumber*", "*cvv*", "cvc", "*iban*", "ssn*", "*ssn",
)  # fmt: skip
_BETWEEN: Final = re.compile(r"[-_.\s]+")
_NEVER: Final = re.compile(r"(?!)")


def plain_name(name: str) -> str:
    """Return a name in the form in which names are compared: without case, ``-``, ``_``, ``.``."""
    return _BETWEEN.sub("", name).lower()


def matcher(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return an expression that matches the plain names of secrets; without patterns, none."""
    joined = "|".join(translate(plain_name(pattern)) for pattern in patterns)
    return re.compile(joined) if joined else _NEVER
