"""The names of secrets: for the console, for snapshots, and for what is sent to others."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Final
from urllib.parse import quote

__all__ = ["LEAST_CHARS", "SECRETS", "Hints", "matcher", "may_repeat", "plain_name", "without"]

#: Names of values that are secret; ``*`` stands for anything. Names are compared as `plain_name`
#: returns them.
SECRETS: Final = (
    "*password*", "*passwd*", "*passphrase*", "*pwd*", "pass", "*secret*", "*token*", "*apikey*",
    "*auth", "*authheader*", "*authorization*", "*cookie*", "*credential*", "*privatekey*",
    "*accesskey*", "*signature*", "*bearer*", "jwt", "otp", "pin", "*pincode*", "*sessionid*",
    "dsn", "*databaseurl*", "*cardnumber*", "*cvv*", "cvc", "*iban*", "ssn*", "*ssn",
)  # fmt: skip
_BETWEEN: Final = re.compile(r"[-_.\s]+")
_JOINING: Final = b"-_."
_SPACES: Final = b" \t\r\n\f\v"
_WILD: Final = re.compile(r"[*?]")
_NEVER: Final = re.compile(r"(?!)")
#: Shorter values are not replaced in texts: they occur there by chance.
LEAST_CHARS: Final = 4
_BYTE: Final = 256
#: By the bytes before a value: its first character of Base64 that has no bits of them.
_FIRST_WHOLE: Final = (0, 2, 3)
#: Shorter parts of Base64 occur by chance.
_LEAST_CODE: Final = 6
#: The last character of Base64 also has bits of what follows.
_REST_OF_CODE: Final = "[A-Za-z0-9+/_-]?={0,2}"
#: Characters that every notation writes as they are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]+")
_RUN: Final = re.compile(r"[A-Za-z0-9_.~-]*")
#: A backslash, also in an URL.
_BACKSLASH: Final = r"(?:\\|%(?:25)*5[cC])"
#: The signs of an entity of HTML, also in an URL, or as Go writes them in JSON.
_AMP: Final = rf"(?:&|%(?:25)*26|{_BACKSLASH}+u0026)"
_HASH: Final = r"(?:#|%(?:25)*23)"
_END: Final = r"(?:;|%(?:25)*3b)"
_SHORT: Final = {"\n": "n|", "\r": "r|", "\t": "t|", "\b": "b|", "\f": "f|"}
_ENTITIES: Final = {
    "&": ("amp",), "<": ("lt",), ">": ("gt",), '"': ("quot",), "'": ("apos",),
}  # fmt: skip
#: Shorter names are not looked for where spaces divide them.
_LEAST_SPACED: Final = 6
#: What JSON may write in another way, and where a text was cut.
_UNSURE: Final = (b"\\u", b"\\/", b"...", "…".encode())
#: Where a text was cut, by `core.job`, by `Job.checkin` or by the libraries of others.
_CUT: Final = re.compile(r"\n?\.\.\. \d+ bytes left out \.\.\.\n?|\.\.\.|…")


def plain_name(name: str) -> str:
    """Return a name in the form in which names are compared: without case, ``-``, ``_``, ``.``."""
    return _BETWEEN.sub("", name).lower()


def matcher(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return an expression that matches the plain names of secrets; without patterns, none."""
    joined = "|".join(translate(plain_name(pattern)) for pattern in patterns)
    return re.compile(joined) if joined else _NEVER


class Hints:
    """A cheap test for texts that may have the name of a secret.

    Args:
        patterns: The names, as `matcher` takes them.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        #: The letters of a pattern, and where no name may go on beside them.
        self._known: dict[tuple[bytes, re.Pattern[bytes] | None], None] = {}
        self._all = False
        for pattern in map(plain_name, patterns):
            run = max(_WILD.split(pattern), key=len)
            # The letters of another script, or of a class, tell nothing about what matches.
            if not run or not run.isascii() or "[" in pattern:
                self._all = True
            else:
                self._known[run.encode(), _edges(pattern, run)] = None
        self._long = [run for run, _ in self._known if len(run) >= _LEAST_SPACED]

    def may_name(self, low: bytes) -> bool:
        """Tell whether a text in UTF-8 and lower case, without escapes, may have such a name."""
        if self._all:
            return True
        plain = low.translate(None, _JOINING)
        for run, edges in self._known:
            if run in plain and (edges is None or edges.search(plain)):
                return True
        return False

    def may_have_key(self, low: bytes) -> bool:
        """Tell the same of JSON, whose keys may have spaces, such as "card number"."""
        if self.may_name(low):
            return True
        tight = low.translate(None, _JOINING + _SPACES)
        for run in self._long:  # noqa: SIM110 - three times as fast, and called for each job
            if run in tight:
                return True
        return False


def _edges(pattern: str, run: str) -> re.Pattern[bytes] | None:
    """Return an expression for the letters of a pattern that begin or end a name."""
    before, _, after = pattern.partition(run)
    first, last = "" if before else "(?<![a-z0-9])", "" if after else "(?![a-z0-9])"
    return re.compile(f"{first}{re.escape(run)}{last}".encode()) if first or last else None


def without(text: str, secrets: Iterable[str], instead: str = "[redacted]") -> str:
    """Return a text without secret values, also where they are escaped, or cut.

    Args:
        text: The text.
        secrets: The values. Very short ones stay.
        instead: What replaces them.
    """
    known = sorted((each for each in secrets if len(each) >= LEAST_CHARS), key=len, reverse=True)
    for secret in known:
        # Most values are the same in every notation, and most texts have no part of the others.
        if _PLAIN.fullmatch(secret):
            text = text.replace(secret, instead)
        elif max(_RUN.findall(secret), key=len) in text:
            text = re.sub(_notations(secret), lambda _: instead, text)
        for coded in _coded(secret):
            if coded in text:
                text = re.sub(rf"{re.escape(coded)}{_REST_OF_CODE}", lambda _: instead, text)
    return _without_parts(text, known, instead) if known and _CUT.search(text) else text


def may_repeat(text: bytes, secrets: Iterable[str]) -> bool:
    """Tell whether `without` may change texts in JSON. A cheap test that is False for most.

    Args:
        text: JSON, or several parts of it.
        secrets: The values.
    """
    if any(sign in text for sign in _UNSURE):
        return True
    for secret in secrets:
        if len(secret) >= LEAST_CHARS and (
            not _PLAIN.fullmatch(secret)
            or secret.encode() in text
            or any(coded.encode() in text for coded in _coded(secret))
        ):
            return True
    return False


@lru_cache(maxsize=1_024)
def _coded(secret: str) -> frozenset[str]:
    """Return a value in hexadecimal digits and in Base64, at any place of what was encoded."""
    data = secret.encode("utf-8", "surrogatepass")
    found = {data.hex(), data.hex().upper()}
    for before, first in enumerate(_FIRST_WHOLE):
        whole = (before + len(data)) * 8 // 6
        code = b64encode(bytes(before) + data).decode()[first:whole]
        if len(code) >= _LEAST_CODE:
            found |= {code, code.replace("+", "-").replace("/", "_")}
    return frozenset(found)


def _notations(secret: str) -> str:
    """Return an expression for a value as any nesting of reprs, JSON, URLs and HTML writes it."""
    return "".join(map(_character, secret))


def _character(character: str) -> str:
    """Return an expression for one character, with any number of escapes around it."""
    if _PLAIN.fullmatch(character):
        return character
    if character == "\\":
        return rf"{_BACKSLASH}+"
    code, data = ord(character), character.encode("utf-8", "surrogatepass")
    pair = character.encode("utf-16-be", "surrogatepass").hex()
    entity = rf"{_AMP}(?:amp{_END})*"
    ways = [
        rf"{entity}{_HASH}(?:x{code:x}|{code}){_END}",
        *(rf"{entity}{name}{_END}" for name in _ENTITIES.get(character, ())),
        rf"u{code:04x}",
        rf"U{code:08x}",
        rf"{_BACKSLASH}*".join(rf"u{pair[at : at + 4]}" for at in range(0, len(pair), 4)),
        rf"{_BACKSLASH}*".join(f"x{byte:02x}" for byte in data),
        "".join(f"%(?:25)*{byte:02x}" for byte in data),
        *([rf"x{code:02x}"] if code < _BYTE else []),
        *(["%(?:25)*2b"] if character == " " else []),  # a form writes it as +, in a form again
    ]
    short = _SHORT.get(character, "")
    space = r"\+|" if character == " " else ""
    # The longest come first: a "%" may be the beginning of "%25".
    return rf"{_BACKSLASH}*(?:(?i:{'|'.join(ways)})|{space}{short}{re.escape(character)})"


def _without_parts(text: str, secrets: Sequence[str], instead: str) -> str:
    """Return a text without the parts of secrets that are left where it was cut."""
    forms = {
        form
        for secret in secrets
        for form in (
            secret,
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            quote(secret, errors="replace"),
        )
    }
    kept, at = [], 0
    for cut in _CUT.finditer(text):
        kept += [text[at : cut.start()], cut[0]]
        at = cut.end()
    kept.append(text[at:])
    backwards = {form[::-1] for form in forms}
    for n in range(0, len(kept) - 1, 2):
        kept[n] = _cropped(kept[n], forms, instead)
        kept[n + 2] = _cropped(kept[n + 2][::-1], backwards, instead[::-1])[::-1]
    return "".join(kept)


def _cropped(text: str, forms: Iterable[str], instead: str) -> str:
    """Return a text that does not end with the beginning of a secret."""
    first = len(text)
    for form in forms:
        at = text.find(form[:LEAST_CHARS])
        while 0 <= at < first:
            if form.startswith(text[at:]):
                first = at
            at = text.find(form[:LEAST_CHARS], at + 1)
    return text if len(text) - first < LEAST_CHARS else text[:first] + instead
