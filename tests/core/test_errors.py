"""Errors have one root, built-in base classes, and messages with a remedy."""

from __future__ import annotations

import ast
import inspect
import re

import pytest
from redis import exceptions as redis_errors

from workkit import errors
from workkit.store.connections.refusals import refusal

TREE = re.findall(
    r"^ {4}[│ ]*[├└]── (\w+)|^ {4}(WorkkitError)$", errors.__doc__ or "", re.MULTILINE
)
ALL = [getattr(errors, name) for name in errors.__all__]


def test_every_error_is_a_workkit_error() -> None:
    assert [error for error in ALL if not issubclass(error, errors.WorkkitError)] == []
    defined = [
        node.name
        for node in ast.parse(inspect.getsource(errors)).body
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(defined) == errors.__all__


def test_the_tree_in_the_documentation_shows_every_error_once() -> None:
    drawn = sorted(a or b for a, b in TREE)
    assert drawn == errors.__all__


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidName, ValueError),
        (errors.InvalidArgs, ValueError),
        (errors.InvalidOption, ValueError),
        (errors.InvalidSpec, ValueError),
        (errors.Undecodable, ValueError),
        (errors.InvalidHandler, TypeError),
        (errors.PoolState, RuntimeError),
        (errors.MissingExtra, ImportError),
        (errors.ServerUnavailable, errors.ServerError),
        (errors.ServerRefused, errors.ServerError),
    ],
)
def test_an_error_is_also_of_the_kind_that_callers_catch(error: type, kind: type) -> None:
    assert issubclass(error, kind)


def test_a_job_timeout_is_not_caught_as_a_network_timeout() -> None:
    assert not issubclass(errors.JobTimeout, OSError)


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = errors.MissingExtra("an embedded server", "demo")
    assert str(error) == "an embedded server needs an extra; run: pip install 'workkit[demo]'"
    assert error.extra == "demo"


def test_undecodable_keeps_the_bytes() -> None:
    error = errors.Undecodable(b"\xff", "not a job")
    assert (str(error), error.raw) == ("not a job", b"\xff")


@pytest.mark.parametrize(
    ("reply", "code", "remedy"),
    [
        (
            redis_errors.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
            "OOM",
            "free memory or raise the limit",
        ),
        (
            redis_errors.ReadOnlyError("You can't write against a read only replica."),
            "READONLY",
            "connect to the master",
        ),
        (
            redis_errors.ResponseError("NOREPLICAS Not enough good replicas to write."),
            "NOREPLICAS",
            "min-replicas-to-write",
        ),
        (redis_errors.NoPermissionError("no permissions"), "NOPERM", "lacks a permission"),
        (redis_errors.NoScriptError("No matching script."), "NOSCRIPT", ""),
        (redis_errors.ResponseError("CROSSSLOT Keys in request"), "CROSSSLOT", "such as {work}"),
        (redis_errors.ResponseError("MISCONF Redis is configured"), "MISCONF", "save to disk"),
        (redis_errors.ResponseError("WRONGTYPE Operation against"), "WRONGTYPE", ""),
        (redis_errors.ResponseError(""), "", ""),
    ],
)
def test_a_server_refusal_has_the_servers_error_code_and_a_remedy(
    reply: redis_errors.ResponseError, code: str, remedy: str
) -> None:
    error = refusal(reply)
    assert error.code == code
    assert str(error).startswith(f"Redis refused: {reply}")
    assert remedy in str(error)
