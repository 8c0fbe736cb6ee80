"""Parses a query into a tree. Each error points at its place in the query.

    either  = both { "or" both }
    both    = one { ["and"] one }
    one     = "not" one | "-" one | "(" either ")" | term
    term    = [ field ":" ] value { "," value }

A value is a bare word or a text in double quotes. In quotes, a backslash escapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from workkit.errors import InvalidQuery

__all__ = ["AllOf", "AnyOf", "Node", "Not", "Term", "Value", "read"]

_SPACE: Final = " \t\r\n"
_WORDS: Final = frozenset({"and", "or", "not"})
#: Deeper than a query written by hand, and far below the interpreter's recursion limit.
_DEEPEST: Final = 50


class Value(NamedTuple):
    """One value of a term.

    Attributes:
        text: The text to match.
        at: The index of its first character in the query.
        quoted: Whether it was in quotes. In quotes, ``*`` and ``>`` are plain characters.
    """

    text: str
    at: int
    quoted: bool


@dataclass(frozen=True, slots=True)
class Term:
    """A field ("" for bare words) and its values. One value must match."""

    field: str
    values: tuple[Value, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    """A part that must not match."""

    part: Node


@dataclass(frozen=True, slots=True)
class AllOf:
    """Parts that must all match. Without parts, it matches every job."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Parts. At least one must match."""

    parts: tuple[Node, ...]


Node: TypeAlias = Term | Not | AllOf | AnyOf


def read(text: str) -> Node:
    """Parse a query.

    Raises:
        InvalidQuery: The query is not valid. The message points at the error.
    """
    reader = _Reader(text)
    tree = reader.either(0)
    if not reader.at_end():
        raise InvalidQuery(text, reader.at, "this ')' has no '('")
    return tree


class _Reader:
    """Reads a query once, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0

    def at_end(self) -> bool:
        self._skip_space()
        return self.at == len(self._text)

    def either(self, depth: int) -> Node:
        parts = [self._both(depth)]
        while self._sees_word("or"):
            if parts[-1] == AllOf(()):
                break
            self._take_word("or")
            parts.append(self._both(depth))
        if self._sees_word("or") or (len(parts) > 1 and parts[-1] == AllOf(())):
            raise InvalidQuery(self._text, self.at, "'or' needs something on both sides")
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _both(self, depth: int) -> Node:
        parts: list[Node] = []
        while True:
            joined = self._take_word("and")
            if joined and not parts:
                raise InvalidQuery(self._text, self.at - 3, "'and' needs something before it")
            if self.at_end() or self._text[self.at] == ")" or self._sees_word("or"):
                if joined:
                    raise InvalidQuery(self._text, self.at, "'and' needs something after it")
                return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
            parts.append(self._one(depth))

    def _one(self, depth: int) -> Node:
        start = self.at
        if depth > _DEEPEST:
            raise InvalidQuery(self._text, start, "this is nested too deeply")
        if self._take_word("not") or self._take("-"):
            if self.at_end() or self._text[self.at] == ")":
                raise InvalidQuery(self._text, start, "'not' needs something after it")
            if any(map(self._sees_word, ("and", "or"))):
                raise InvalidQuery(self._text, self.at, "'not' needs something after it")
            return Not(self._one(depth + 1))
        if not self._take("("):
            return self._term()
        if self.at_end() or self._text[self.at] == ")":
            raise InvalidQuery(self._text, start, "there is nothing in these parentheses")
        inner = self.either(depth + 1)
        if not self._take(")"):
            raise InvalidQuery(self._text, start, "this '(' has no ')'")
        return inner

    def _term(self) -> Term:
        start = self.at
        name = "" if self._text[start] == '"' else self._field()
        if name and (self.at == len(self._text) or self._text[self.at] in _SPACE + ")"):
            raise InvalidQuery(self._text, self.at, f"{name}: needs a value right after the colon")
        values = [self._value()]
        while self.at < len(self._text) and self._text[self.at] == ",":
            self.at += 1
            values.append(self._value())
        return Term(name, tuple(values), start)

    def _field(self) -> str:
        """Take a field and its colon, if a colon comes before the next space or quote."""
        end = self.at
        while end < len(self._text) and self._text[end] not in _SPACE + '":(),':
            end += 1
        if end == len(self._text) or self._text[end] != ":":
            return ""
        name = self._text[self.at : end]
        if not name:
            raise InvalidQuery(self._text, self.at, "a field's name is missing before the colon")
        self.at = end + 1
        return name

    def _value(self) -> Value:
        start = self.at
        if start == len(self._text) or self._text[start] in _SPACE + "),":
            raise InvalidQuery(self._text, start, "a value is missing here")
        if self._text[start] == '"':
            return self._quoted()
        end = start
        while end < len(self._text) and self._text[end] not in _SPACE + '(),"':
            end += 1
        if end < len(self._text) and self._text[end] in '("':
            raise InvalidQuery(
                self._text, end, f"put the whole value into quotes to use {self._text[end]} in it"
            )
        self.at = end
        return Value(self._text[start:end], start, quoted=False)

    def _quoted(self) -> Value:
        start = self.at
        characters: list[str] = []
        self.at += 1
        while self.at < len(self._text):
            character = self._text[self.at]
            self.at += 1
            if character == '"':
                return Value("".join(characters), start, quoted=True)
            if character == "\\" and self.at < len(self._text):
                character = self._text[self.at]
                self.at += 1
            characters.append(character)
        raise InvalidQuery(self._text, start, "this quote has no end")

    # Words and signs.

    def _skip_space(self) -> None:
        while self.at < len(self._text) and self._text[self.at] in _SPACE:
            self.at += 1

    def _take(self, sign: str) -> bool:
        self._skip_space()
        if not self._text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def _sees_word(self, word: str) -> bool:
        """Tell whether "and", "or" or "not" comes next as a whole word."""
        self._skip_space()
        end = self.at + len(word)
        if self._text[self.at : end].lower() != word:
            return False
        return end == len(self._text) or self._text[end] in _SPACE + "()"

    def _take_word(self, word: str) -> bool:
        if not self._sees_word(word):
            return False
        self.at += len(word)
        return True
