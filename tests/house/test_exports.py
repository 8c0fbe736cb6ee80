"""Public names are listed, sorted and documented, and no other name is public by accident."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from typing import Any

import pytest

import workkit
from tests.house.sources import MODULES, Module

COMMAND = re.compile(r"\.(command|group)\b")

importable = [module for module in MODULES if not module.name.endswith(".__main__")]
public_names = [name for name in workkit.__all__ if not name.startswith("__")]


def defined_names(module: Module) -> set[str]:
    """Public classes and functions that a module defines itself.

    Commands of the command line are left out: their group holds them, nobody imports them.
    """
    return {
        node.name
        for node in module.tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not any(COMMAND.search(ast.unparse(decorator)) for decorator in node.decorator_list)
    }


def own_docstring(thing: Any) -> str:
    """A docstring that somebody wrote for it: neither inherited nor made by a decorator."""
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    made = f"{thing.__name__}("
    return "" if text is None or text.startswith(made) else text


def test_the_public_names_are_sorted_and_unique() -> None:
    assert workkit.__all__ == sorted(set(workkit.__all__))


@pytest.mark.parametrize("name", public_names)
def test_a_public_name_can_be_imported_and_is_documented(name: str) -> None:
    assert own_docstring(getattr(workkit, name)).strip()


@pytest.mark.parametrize("name", public_names)
def test_the_public_methods_of_a_public_class_are_documented(name: str) -> None:
    thing = getattr(workkit, name)
    if not inspect.isclass(thing):
        return
    assert not [
        member
        for member, value in vars(thing).items()
        if not member.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
        and not inspect.getdoc(value)
    ]


def test_type_checkers_see_the_same_names_as_programs() -> None:
    root = next(module for module in MODULES if module.name == "workkit")
    homes: dict[str, str] = {}
    for node in ast.walk(root.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workkit."):
            homes |= {alias.name: str(node.module) for alias in node.names}
    assert set(homes) == set(workkit.__all__)
    assert not [
        name
        for name, home in homes.items()
        if getattr(importlib.import_module(home), name) is not getattr(workkit, name)
    ]


def test_dir_offers_the_public_names() -> None:
    assert set(workkit.__all__) <= set(dir(workkit))


def test_a_name_that_does_not_exist_is_an_attribute_error_that_says_so() -> None:
    with pytest.raises(AttributeError, match="'workkit' has no attribute 'Wroker'"):
        workkit.Wroker  # noqa: B018 -- reading it is the test


def test_every_exported_name_exists() -> None:
    assert not [
        f"{module.name}.{name}"
        for module in importable
        for name in module.exports
        if not hasattr(importlib.import_module(module.name), name)
    ]


def test_what_a_module_defines_without_an_underscore_it_exports() -> None:
    assert not [
        f"{module.name}.{name}"
        for module in importable
        for name in sorted(defined_names(module) - set(module.exports))
    ]
