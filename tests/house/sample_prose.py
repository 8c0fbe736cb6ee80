"""Print docstrings, comments and messages, drawn at random, for somebody to read as a stranger.

`python -m tests.house.sample_prose --seed 1 --count 60 [PATH...]`
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random  # noqa: TID251 - the seed makes the sample repeatable
from typing import Final, NamedTuple

from tests.house.sources import ROOT

#: Read if no path is given.
SHIPPED: Final = ("workkit", "tui/workkit_tui", "notebooks/workkit_notebook", "pytest_workkit")
#: A string of fewer words is a name or a format.
MESSAGE_WORDS: Final = 4

_PRAGMA: Final = re.compile(r"#\s*(?:noqa|type:|fmt:|pragma:|pylint:)[^#]*")
_WORD: Final = re.compile(r"[A-Za-z]{2,}|\b[aI]\b")
_FIELD: Final = re.compile(r"\{[^{}]*\}")
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Passage(NamedTuple):
    """A piece of prose in a source file.

    Attributes:
        line: The first line, counted from 1.
        kind: "docstring", "comment" or "message".
        text: The prose. An f-string keeps its fields in braces.
    """

    line: int
    kind: str
    text: str


def passages(source: str) -> list[Passage]:
    """Return all prose of a module, in the order of its lines."""
    tree = ast.parse(source)
    documented = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)]
    docstrings = [node.body[0] for node in documented if ast.get_docstring(node)]
    known = {id(string) for node in docstrings for string in ast.walk(node)}
    return sorted(
        [
            *(
                Passage(node.body[0].lineno, "docstring", ast.get_docstring(node) or "")
                for node in documented
                if ast.get_docstring(node)
            ),
            *_comments(source),
            *_messages(tree, known),
        ]
    )


def _comments(source: str) -> Iterator[Passage]:
    """Yield comments. Comments on consecutive lines are one passage; pragmas are left out."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        starts_line = not token.line[: token.start[1]].strip()
        if block and not (starts_line and line == last + 1):
            yield Passage(first, "comment", " ".join(block))
            block = []
        text = _PRAGMA.sub("", token.string).lstrip("#: ").strip(" -")
        if text:
            first = line if not block else first
            block.append(text)
            last = line
    if block:
        yield Passage(first, "comment", " ".join(block))


def _messages(tree: ast.Module, known: set[int]) -> Iterator[Passage]:
    """Yield strings and f-strings that read like sentences.

    Args:
        tree: A module.
        known: Identities of the nodes to leave out: docstrings, then parts of f-strings.
    """
    for node in ast.walk(tree):
        if id(node) in known:
            continue
        if isinstance(node, ast.JoinedStr):
            known.update(id(part) for part in node.values)
            text = "".join(_shown(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if len(_WORD.findall(_FIELD.sub("", text))) >= MESSAGE_WORDS:
            yield Passage(node.lineno, "message", text)


def _shown(part: ast.expr) -> str:
    """Return one part of an f-string: text as it is, a field in braces."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    return ast.unparse(ast.JoinedStr([part]))[2:-1]


def modules(paths: Iterable[Path]) -> list[Path]:
    """Return the Python files among some paths and inside folders, sorted."""
    return sorted(
        {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])}
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a sample.

    Args:
        arguments: The command line without the program; None for that of the process.
    """
    parser = argparse.ArgumentParser(prog="sample_prose", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same sample")
    parser.add_argument("--count", type=int, default=60, help="passages to draw; 0 for all")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders")
    asked = parser.parse_args(arguments)
    found = [
        (file, passage)
        for file in modules(asked.paths or [ROOT / name for name in SHIPPED])
        for passage in passages(file.read_text("utf-8"))
    ]
    if 0 < asked.count < len(found):
        found = Random(asked.seed).sample(found, asked.count)
    for file, passage in found:
        shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        sys.stdout.write(f"{shown}:{passage.line} {passage.kind}\n")
        sys.stdout.write("".join(f"    {line}\n" for line in passage.text.splitlines()))


if __name__ == "__main__":
    main()
