"""Secrets: values that are not shown, found by the names beside them and by their form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workkit.core.secrets import Hints, matcher, plain_name, without

__all__ = ["HIDDEN", "Masks", "note"]

#: Shown in the place of a secret.
HIDDEN: Final = "•••"

#: Stands for args in which secrets cannot be found: Python has no stack for their depth.
_TOO_DEEP: Final = "nested too deeply to be shown"

#: Members of an object that name its value, as in {"name": "Authorization", "value": …}.
_NAMING: Final = ("name", "key", "header", "field")
_VALUES: Final = ("value", "values")

#: Longer keys are not names.
_NAME_CHARS: Final = 1_000
_MOST_KNOWN: Final = 10_000
_LINE_CHARS: Final = 500
#: Quotes and commas around a value, characters.
_PUNCTUATION: Final = 4
#: A text without any of these holds nothing that is hidden by its form.
_HINT: Final = re.compile(r"[:=]|(?i:bearer|basic|digest|token)\s")
#: What follows the scheme in the value of a header, and the values of cookies.
_SCHEMED: Final = re.compile(r"\A(?:Bearer|Basic|Digest|Token)\s+(\S+)\Z", re.IGNORECASE)
_COOKIE: Final = re.compile(r"=([^\s;,=]{8,})")

# The repetitions are bounded, so that a long unbroken text takes linear time.
_URL: Final = re.compile(r"""(://[^\s/?#:@"']{0,200}:)([^\s/?#"']{1,300})(?=@)""")
_URL_TOKEN: Final = re.compile(r"""(://)([^\s/?#:@"']{20,300})(?=@)""")
_SCHEME: Final = re.compile(
    r"\b(Bearer\s+)([\w.~+/=-]{4,})"
    r"|\b((?:Basic|Digest|Token)\s+)(?=[\w.~+/-]*[\d=])([\w.~+/=-]{6,})",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(
    r"""\b((?:Set-)?Cookie|(?:Proxy-)?Authorization)(\\*["']?\s*[:=]\s*\\*["']?)([^\n"'\\]+)""",
    re.IGNORECASE,
)
_NAME: Final = re.compile(
    r"""(?<!\w)([A-Za-z_][\w.-]{0,60})(?:\\*["'])?\s{0,3}(?:=>|[:=])\s{0,3}"""
)
_VALUE: Final = re.compile(
    r"""(?P<open>\\+(?P<mark>["'])).*?\\+(?P=mark)"""
    r"""|(?P<quote>["'])(?:(?!(?P=quote))[^\\]|\\.)*(?P=quote)"""
    r"""|[^\s,;&}\])"']+""",
    re.DOTALL,
)
#: Types of errors are followed by a colon and are not names of values.
_TYPE: Final = re.compile(r"(?:Invalid|Missing|Expired|Unknown|No)[A-Z]\w*|\w*(?:Error|Exception)")


class Masks:
    """Hides values by the names beside them, and passwords in URLs and headers by their form.

    Args:
        patterns: Patterns of names; ``*`` stands for anything. Names are compared without regard
            to case, ``-``, ``_`` and ``.``; no pattern at all hides nothing.
        instead: What stands in the place of a secret.
    """

    def __init__(self, patterns: Sequence[str], instead: str = HIDDEN) -> None:
        self._secret = matcher(patterns) if patterns else None
        self._hints = Hints(patterns)
        self._instead = instead
        #: Name → whether it names a secret. Args repeat the same few names.
        self._known: dict[str, bool] = {}
        #: Lines without such a name. Tracebacks repeat the same lines.
        self._harmless: set[str] = set()

    def hide(self, value: Any) -> Any:
        """Return a copy of args in which all secrets are hidden, at any depth.

        Args that are nested by some hundred levels are hidden as a whole.
        """
        if self._secret is None:
            return value
        found: set[str] = set()
        try:
            hidden = self._hide(value, found)
            return _replaced(hidden, found, self._instead) if found else hidden
        except RecursionError:
            return {_TOO_DEEP: self._instead}

    def brief(self, value: Any, chars: int) -> Any:
        """Return the beginning of args in which secrets are hidden, for a line of a table.

        Args:
            value: The args.
            chars: About how long they are as JSON.
        """
        found: set[str] = set()
        try:
            short = _shortened(value, [chars])
            if self._secret is None:
                return short
            self._collect(value, found)  # of all: a secret at the end may also be at the beginning
            hidden = self._hide(short, set())
            return _replaced(hidden, found, self._instead) if found else hidden
        except RecursionError:
            return {_TOO_DEEP: self._instead}

    def text(self, text: str, args: Any = None) -> str:
        """Return a text, such as an error, in which secrets are hidden.

        Args:
            text: The text.
            args: The args of its job: values hidden in them are hidden in the text as well.
        """
        if self._secret is None or not text:
            return text
        found: set[str] = set()
        if args:
            try:
                self._collect(args, found)
            except RecursionError:
                return f"{self._instead} (its args are {_TOO_DEEP})"
            text = without(text, found, self._instead)
        return self.in_text(text, found)

    def in_text(self, text: str, found: set[str]) -> str:
        """Return a text without the secrets that its form shows, and note them in `found`.

        These are passwords in URLs, headers, and the values of pairs such as ``password=x``.
        """
        if self._secret is None:
            return text
        if _HINT.search(text) is None:
            return text
        low = text.lower()
        if "://" in low and "@" in low:
            text = _URL.sub(lambda url: self._left(url[1], url[2], found), text)
            text = _URL_TOKEN.sub(lambda url: self._left(url[1], url[2], found), text)
        if "cookie" in low or "authorization" in low:
            text = _HEADER.sub(lambda header: self._header(header, found), text)
        if "bearer" in low or "basic" in low or "digest" in low or "token" in low:
            text = _SCHEME.sub(lambda it: self._left(it[1] or it[3], it[2] or it[4], found), text)
        return self._pairs(text, found) if self._may_name(low) else text

    def _may_name(self, low: str) -> bool:
        """Tell whether a text in lower case may have the name of a secret."""
        for line in low.split("\n"):
            if line in self._harmless:
                continue
            if self._hints.may_name(line.encode("utf-8", "replace")):
                return True
            if len(self._harmless) >= _MOST_KNOWN:
                self._harmless.clear()
            if len(line) <= _LINE_CHARS:
                self._harmless.add(line)
        return False

    def may_hold(self, data: bytes) -> bool:
        """Tell whether JSON without escapes may hold a secret; a cheap test, False for most."""
        low = data.lower()
        return self._secret is not None and (
            (b"://" in low and b"@" in low)
            or b"bearer" in low
            or b"basic" in low
            or b"digest" in low
            or b"token" in low
            or self._hints.may_have_key(low)
        )

    def json(self, text: str) -> Any:
        """Return args that are written as JSON, without secrets; as text if they are not JSON."""
        try:
            return self.hide(json.loads(text or "null"))
        except ValueError:
            return self.text(text)
        except RecursionError:
            return {_TOO_DEEP: self._instead}

    def is_secret(self, name: object) -> bool:
        """Tell whether a name is that of a secret."""
        if self._secret is None or not isinstance(name, str) or len(name) > _NAME_CHARS:
            return False
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._secret.match(plain_name(name.lstrip("-"))) is not None
            self._known[name] = known
        return known

    def hidden_keys(self, value: Mapping[Any, Any]) -> set[Any]:
        """Return the keys of an object whose values are hidden: by their names, or by another one.

        The name may be a value itself, as in ``{"name": "Authorization", "value": ...}``.
        """
        named = any(self.is_secret(value.get(each)) for each in _NAMING)
        return {
            key for key in value if self.is_secret(key) or (named and str(key).lower() in _VALUES)
        }

    def follows(self, values: Sequence[Any], at: int) -> bool:
        """Tell whether an item of a list is a secret, because of the name before it."""
        before = values[at - 1] if at else None
        option = isinstance(before, str) and before.startswith("-")
        return (at % 2 == 1 or option) and self.is_secret(before)

    def _collect(self, value: Any, found: set[str]) -> None:
        """Note the values that are hidden."""
        if isinstance(value, Mapping):
            hidden = self.hidden_keys(value)
            for key, inner in value.items():
                note(inner, found) if key in hidden else self._collect(inner, found)
        elif isinstance(value, list | tuple):
            for at, inner in enumerate(value):
                note(inner, found) if self.follows(value, at) else self._collect(inner, found)
        elif isinstance(value, str):
            self.in_text(value, found)

    def _hide(self, value: Any, found: set[str]) -> Any:
        if isinstance(value, Mapping):
            hidden = self.hidden_keys(value)
            return {
                key: self._gone(inner, found) if key in hidden else self._hide(inner, found)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return self._hide_list(value, found)
        return self.in_text(value, found) if isinstance(value, str) else value

    def _hide_list(self, values: Sequence[Any], found: set[str]) -> list[Any]:
        """Hide the values after names: in pairs, in flat lists of pairs, and after options."""
        return [
            self._gone(value, found) if self.follows(values, at) else self._hide(value, found)
            for at, value in enumerate(values)
        ]

    def _gone(self, value: Any, found: set[str]) -> str:
        note(value, found)
        return self._instead

    def _left(self, kept: str, secret: str, found: set[str]) -> str:
        """Return what is left of a text whose end is a secret, and note that."""
        note(secret, found)
        return f"{kept}{self._instead}"

    def _header(self, header: re.Match[str], found: set[str]) -> str:
        if not self.is_secret(header[1]):
            return header[0]
        for cookie in _COOKIE.findall(header[3]):
            found.add(cookie)
        return self._left(f"{header[1]}{header[2]}", header[3].strip(), found)

    def _pairs(self, text: str, found: set[str]) -> str:
        """Hide the values of pairs such as password=x, password: x and "password": "x"."""
        parts, at = [], 0
        for pair in _NAME.finditer(text):
            name = pair[1]
            if pair.start() < at or not self.is_secret(name) or _TYPE.fullmatch(name):
                continue
            value = _VALUE.match(text, pair.end())
            if value is None or value[0].startswith(self._instead):
                continue
            mark = value["open"] or value["quote"] or ""
            inner = value[0][len(mark) : len(value[0]) - len(mark)]
            if mark or pair[0].endswith("="):  # a word after a colon may be part of a sentence
                note(inner, found)
            parts += [text[at : pair.end()], mark, self._instead, mark]
            at = value.end()
        return "".join([*parts, text[at:]])


def note(value: Any, found: set[str]) -> None:
    """Note the texts and numbers of a value that is hidden, to hide them elsewhere as well."""
    if isinstance(value, Mapping):
        for inner in value.values():
            note(inner, found)
    elif isinstance(value, list | tuple):
        for inner in value:
            note(inner, found)
    elif isinstance(value, str):
        found.add(value)
        found.update(_SCHEMED.findall(value))  # the library behind an error may show this alone
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.add(str(value))


def _shortened(value: Any, left: list[int]) -> Any:
    """Return the beginning of JSON; `left` holds how many characters may still come."""
    if isinstance(value, Mapping):
        short: dict[Any, Any] = {}
        for key, inner in value.items():
            if left[0] <= 0:
                break
            left[0] -= len(str(key))
            short[key] = _shortened(inner, left)
        return short
    if isinstance(value, list | tuple):
        items = []
        for inner in value:
            if left[0] <= 0:
                break
            items.append(_shortened(inner, left))
        return items
    if isinstance(value, str):
        value = value[: max(left[0], 0)]
        left[0] -= len(value)
    left[0] -= _PUNCTUATION
    return value


def _replaced(value: Any, found: set[str], instead: str) -> Any:
    """Hide the same values under other names as well."""
    if isinstance(value, dict):
        return {key: _replaced(inner, found, instead) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, found, instead) for inner in value]
    return without(value, found, instead) if isinstance(value, str) else value
