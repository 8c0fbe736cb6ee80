"""Secrets: values that are not shown, found by the names beside them and by their form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workkit.core.secrets import matcher, plain_name, without

__all__ = ["HIDDEN", "Masks"]

#: Shown in the place of a secret.
HIDDEN: Final = "•••"

#: Members of an object that name its value, as in {"name": "Authorization", "value": …}.
_NAMING: Final = ("name", "key", "header", "field")
_VALUES: Final = ("value", "values")

#: Longer keys are not names.
_NAME_CHARS: Final = 200
_MOST_KNOWN: Final = 10_000
#: Quotes and commas around a value, characters.
_PUNCTUATION: Final = 4
#: A text without any of these holds nothing that is hidden by its form.
_HINT: Final = re.compile(r"[:=]|bearer|basic|digest|token", re.IGNORECASE)

# The repetitions are bounded, so that a long unbroken text takes linear time.
_URL: Final = re.compile(r"""(://[^\s/?#:@"']{0,200}:)[^\s/?#"']{1,300}(?=@)""")
_URL_TOKEN: Final = re.compile(r"""(://)[^\s/?#:@"']{20,300}(?=@)""")
_SCHEME: Final = re.compile(
    r"\b(Bearer\s+)[\w.~+/=-]{4,}|\b((?:Basic|Digest|Token)\s+)(?=[\w.~+/-]*[\d=])[\w.~+/=-]{6,}",
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
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._secret = matcher(patterns) if patterns else None
        #: Name → whether it names a secret. Args repeat the same few names.
        self._known: dict[str, bool] = {}

    def hide(self, value: Any) -> Any:
        """Return a copy of args in which all secrets are hidden, at any depth."""
        if self._secret is None:
            return value
        found: set[str] = set()
        hidden = self._hide(value, found)
        return _replaced(hidden, found) if found else hidden

    def brief(self, value: Any, chars: int) -> Any:
        """Return the beginning of args in which secrets are hidden, for a line of a table.

        Args:
            value: The args.
            chars: About how long they are as JSON.
        """
        short = _shortened(value, [chars])
        if self._secret is None:
            return short
        found: set[str] = set()
        self._collect(value, found)  # of all args: a secret at the end may also be at the beginning
        hidden = self._hide(short, set())
        return _replaced(hidden, found) if found else hidden

    def text(self, text: str, args: Any = None) -> str:
        """Return a text, such as an error, in which secrets are hidden.

        Args:
            text: The text.
            args: The args of its job: values hidden in them are hidden in the text as well.
        """
        if self._secret is None or not text:
            return text
        if args:
            found: set[str] = set()
            self._collect(args, found)
            text = without(text, found, HIDDEN)
        if not _HINT.search(text):
            return text
        text = _URL_TOKEN.sub(rf"\1{HIDDEN}", _URL.sub(rf"\1{HIDDEN}", text))
        text = _HEADER.sub(self._header, text)
        text = _SCHEME.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", text)
        return self._pairs(text)

    def json(self, text: str) -> Any:
        """Return args that are written as JSON, without secrets; as text if they are not JSON."""
        try:
            return self.hide(json.loads(text or "null"))
        except ValueError:
            return self.text(text)

    def _is_secret(self, name: object) -> bool:
        if self._secret is None or not isinstance(name, str) or len(name) > _NAME_CHARS:
            return False
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._secret.match(plain_name(name.lstrip("-"))) is not None
            self._known[name] = known
        return known

    def _collect(self, value: Any, found: set[str]) -> None:
        """Note the values that are hidden by the names beside them."""
        if isinstance(value, Mapping):
            named = any(self._is_secret(value.get(each)) for each in _NAMING)
            for key, inner in value.items():
                if self._is_secret(key) or (named and str(key).lower() in _VALUES):
                    _gone(inner, found)
                elif not isinstance(inner, str):
                    self._collect(inner, found)
        elif isinstance(value, list | tuple):
            for at, inner in enumerate(value):
                if self._follows(value, at):
                    _gone(inner, found)
                elif not isinstance(inner, str):
                    self._collect(inner, found)

    def _follows(self, values: Sequence[Any], at: int) -> bool:
        """Tell whether an item of a list is a secret, because of the name before it."""
        before = values[at - 1] if at else None
        option = isinstance(before, str) and before.startswith("-")
        return (at % 2 == 1 or option) and self._is_secret(before)

    def _hide(self, value: Any, found: set[str]) -> Any:
        if isinstance(value, Mapping):
            named = any(self._is_secret(value.get(each)) for each in _NAMING)
            return {
                key: _gone(inner, found)
                if self._is_secret(key) or (named and str(key).lower() in _VALUES)
                else self._hide(inner, found)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return self._hide_list(value, found)
        return self.text(value) if isinstance(value, str) else value

    def _hide_list(self, values: Sequence[Any], found: set[str]) -> list[Any]:
        """Hide the values after names: in pairs, in flat lists of pairs, and after options."""
        return [
            _gone(value, found) if self._follows(values, at) else self._hide(value, found)
            for at, value in enumerate(values)
        ]

    def _header(self, found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]}{HIDDEN}" if self._is_secret(found[1]) else found[0]

    def _pairs(self, text: str) -> str:
        """Hide the values of pairs such as password=x, password: x and "password": "x"."""
        parts, at = [], 0
        for found in _NAME.finditer(text):
            name = found[1]
            if found.start() < at or not self._is_secret(name) or _TYPE.fullmatch(name):
                continue
            value = _VALUE.match(text, found.end())
            if value is None or value[0].startswith(HIDDEN):
                continue
            mark = value["open"] or value["quote"] or ""
            parts += [text[at : found.end()], mark, HIDDEN, mark]
            at = value.end()
        return "".join([*parts, text[at:]])


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


def _gone(value: Any, found: set[str]) -> str:
    """Note the texts and numbers of a value that is hidden."""
    if isinstance(value, Mapping):
        for inner in value.values():
            _gone(inner, found)
    elif isinstance(value, list | tuple):
        for inner in value:
            _gone(inner, found)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        found.add(str(value))
    return HIDDEN


def _replaced(value: Any, found: set[str]) -> Any:
    """Hide the same values under other names as well."""
    if isinstance(value, dict):
        return {key: _replaced(inner, found) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, found) for inner in value]
    return without(value, found, HIDDEN) if isinstance(value, str) else value
