"""The wheel holds the package whole, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from email import message_from_string
from email.policy import default
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


def test_the_readme_of_the_wheel_has_no_links_to_files_beside_it(wheel: Path) -> None:
    (name,) = [each for each in ZipFile(wheel).namelist() if each.endswith("/METADATA")]
    about = message_from_string(ZipFile(wheel).read(name).decode(), policy=default)
    assert about["Description-Content-Type"] == "text/markdown"
    text = about.get_payload()
    assert isinstance(text, str)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 10
    assert [each for each in targets if not each.startswith(("https://", "#"))] == []
    host = "https://github.com/workkit/workkit"
    ours = [each.removeprefix(host) for each in targets if each.startswith(host)]
    paths = [re.sub(r"^/(raw|blob)/main/|#.*$", "", each) for each in ours]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    labels = {line.partition(",")[0] for line in about.get_all("Project-URL", [])}
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= labels


def test_each_package_says_that_it_is_typed(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    packages = {name.partition("/")[0] for name in names if name.endswith("/__init__.py")}
    assert {f"{package}/py.typed" for package in packages} <= set(names)


def test_the_readme_names_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Install")[2]
    named = set(re.findall(r"'workkit\[(\w+)\]'", install.partition("\n## ")[0]))
    assert named == set(project["optional-dependencies"])


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
