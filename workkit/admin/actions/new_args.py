"""Reads edited args, and says what is different in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any, Final

import msgspec

from workkit.core import gojson
from workkit.core.options import MAX_JOB_BYTES
from workkit.errors import InvalidArgs

__all__ = ["args_text", "changed_paths", "difference", "named_twice", "read_args"]

#: So many paths are named.
_PATHS: Final = 10


def args_text(raw: bytes) -> str:
    """Return args as indented JSON, for an editor. Numbers keep their digits.

    Args:
        raw: The args as JSON.
    """
    return msgspec.json.format(raw, indent=2).decode() + "\n"


def read_args(text: str | bytes) -> tuple[Mapping[str, Any] | None, bytes]:
    """Read args as a person has typed them.

    Args:
        text: A JSON object, or null for no args.

    Returns:
        The args, and their JSON in one line. Numbers keep their digits.

    Raises:
        InvalidArgs: It is not a JSON object, or cannot be args. The message says where.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise InvalidArgs(f"the args are not UTF-8: line {line} has other bytes") from None
    if len(text) > MAX_JOB_BYTES:
        raise InvalidArgs(_too_long(len(text.encode("utf-8", "backslashreplace"))))
    try:
        args = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidArgs(f"the args are not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise InvalidArgs("the args are nested too deeply") from None
    except InvalidArgs:
        raise
    except ValueError as error:  # an integer of more than 4,300 digits
        raise InvalidArgs(f"the args are not JSON: {error}") from None
    if args is not None and not isinstance(args, dict):
        raise InvalidArgs(
            f'args must be a JSON object such as {{"n": 1}}, or null, not {type(args).__name__}'
        )
    gojson.encode_args(args, allow_huge_integers=False)  # names the path of what cannot be sent
    return args, msgspec.json.format(text.encode(), indent=-1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = named_twice(pairs)
    if twice is not None:
        raise InvalidArgs(f"the args have the name {twice!r:.200} twice in one object")
    return dict(pairs)


def named_twice(pairs: Sequence[tuple[str, Any]]) -> str | None:
    """Return the first name that the members of a JSON object repeat; None if there is none.

    Args:
        pairs: The names and values, as a hook of `json` gets them.
    """
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    return None


def _constant(name: str) -> Any:
    raise InvalidArgs(f"the args are not JSON: {name} is not a number in JSON")


def _too_long(size: int) -> str:
    return (
        f"the args take {size:,} bytes, and a job at most {MAX_JOB_BYTES:,}; store large data "
        "elsewhere and give a reference to it"
    )


def difference(before: bytes, after: bytes) -> list[str]:
    """Return the lines of a unified diff of two args, without its head.

    Args:
        before: The args as JSON.
        after: The new args as JSON.
    """
    old, new = (args_text(each).splitlines() for each in (before, after))
    return list(unified_diff(old, new, lineterm=""))[3:]


def changed_paths(before: Any, after: Any) -> str:
    """Name what has changed, without values: "args.n, args.to"."""
    paths = list(_paths(before, after, "args"))
    more = f" and {len(paths) - _PATHS} more" if len(paths) > _PATHS else ""
    return ", ".join(paths[:_PATHS]) + more


def _paths(before: Any, after: Any, at: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            if name in before and name in after:
                yield from _paths(before[name], after[name], f"{at}.{name}")
            else:
                yield f"{at}.{name}"
    elif before != after or type(before) is not type(after):
        yield at
