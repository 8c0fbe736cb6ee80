"""The wheel holds the package whole, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from tests.house.sources import PACKAGE, ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the project's own backend."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"workkit/py.typed", "workkit/store/lua/exchange.lua"} <= wanted
    assert wanted <= set(ZipFile(wheel).namelist())


def test_the_wheel_holds_nothing_but_packages_and_its_own_record(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}
    (record,) = {top for top in tops if top.endswith(".dist-info")}
    assert tops - {record} <= {"pytest_workkit", "workkit", "workkit_tui", "workkit_notebook"}
    assert f"{record}/licenses/LICENSE" in ZipFile(wheel).namelist()


def test_the_unpacked_wheel_works_away_from_the_project(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import workkit\n"
        "from workkit import Client, Enqueuer, WorkerPool\n"
        "from workkit.store.scripts import script\n"
        "assert script('exchange').source\n"
        "print(workkit.__file__)"
    )
    command = [sys.executable, "-P", "-c", program]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(str(tmp_path))
