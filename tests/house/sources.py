"""The package as text: its modules parsed, its scripts read."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "workkit"
LUA: Final = PACKAGE / "store" / "lua"

_DEFINITIONS: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_LUA_COMMENT: Final = re.compile(r"--.*")


@dataclass(frozen=True)
class Module:
    """One module of the package."""

    path: Path

    @property
    def name(self) -> str:
        """Dotted name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        parts = parts[1:] if parts[0] in {"tui", "notebooks"} else parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        """Source."""
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Source, parsed."""
        return ast.parse(self.text)

    def place(self, node: ast.expr | ast.stmt) -> str:
        """Return the place of a node in the form that editors understand."""
        return f"{self.path.relative_to(ROOT)}:{node.lineno}"

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions and methods."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def attributes(self) -> Iterator[ast.Attribute]:
        """All expressions of the form `value.name`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute):
                yield node

    def imports(self) -> Iterator[tuple[ast.stmt, str]]:
        """All imports with the dotted name that each brings in, those inside functions too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)

    @cached_property
    def exports(self) -> list[str]:
        """The names in `__all__`; empty without one."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names: list[str] = ast.literal_eval(node.value)
                return names
        return []

    def strings(self) -> Iterator[tuple[ast.Constant, str]]:
        """All texts and bytes, parts of f-strings too, docstrings not."""
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(self.tree)
            if isinstance(node, _DEFINITIONS)
            and node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
        }
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Constant) or id(node) in docstrings:
                continue
            if isinstance(node.value, str):
                yield node, node.value
            elif isinstance(node.value, bytes):
                yield node, node.value.decode("latin-1")


@dataclass(frozen=True)
class LuaScript:
    """One script."""

    path: Path

    @property
    def name(self) -> str:
        """Stem of the file."""
        return self.path.stem

    @cached_property
    def header(self) -> str:
        """The comment that it begins with: its contract."""
        lines = []
        for line in self.path.read_text("utf-8").splitlines():
            if not line.startswith("--"):
                break
            lines.append(line.removeprefix("--").strip())
        return "\n".join(lines)

    @cached_property
    def code(self) -> str:
        """The code, without comments."""
        return _LUA_COMMENT.sub("", self.path.read_text("utf-8"))


#: Packages that ship with it, from other folders.
BESIDE: Final = (ROOT / "tui" / "workkit_tui", ROOT / "notebooks" / "workkit_notebook")
MODULES: Final = tuple(
    Module(path) for folder in (PACKAGE, *BESIDE) for path in sorted(folder.rglob("*.py"))
)
SCRIPTS: Final = tuple(LuaScript(path) for path in sorted(LUA.glob("*.lua")))
