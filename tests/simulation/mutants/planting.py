"""Plants a mutant in a copy of the engine, and lets the simulator look for it there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.house.sources import ROOT

__all__ = ["FOLDER", "Kill", "Mutant", "hunt", "mutants", "plant"]

FOLDER = Path(__file__).parent
_COPIED = ("workkit", "tests/simulation", "tests/house", "tests/support")


@dataclass(frozen=True)
class Mutant:
    """A small breakage.

    Attributes:
        name: The name of its file.
        why: The rule that it breaks, in words.
        file: Where.
        old: The text to replace; it must be there exactly once.
        new: The new text.
        scenario: In which scenario it is looked for.
        seeds: Seeds that have killed it, to be tried first.
        rule: The rule that it broke then.
    """

    name: str
    why: str
    file: str
    old: str
    new: str
    scenario: str
    seeds: Sequence[int]
    rule: str


@dataclass(frozen=True)
class Kill:
    """How a mutant was found.

    Attributes:
        seeds: In which world; several if it takes all of them together.
        rule: The rule that it broke.
        what: What happened.
    """

    seeds: Sequence[int]
    rule: str
    what: str


def mutants() -> list[Mutant]:
    """Return all mutants in the order of their names."""
    return [_read(file) for file in sorted(FOLDER.glob("*.toml"))]


def _read(file: Path) -> Mutant:
    fields: dict[str, Any] = tomllib.loads(file.read_text())
    return Mutant(
        file.stem, fields["why"], fields["file"], fields["old"], fields["new"],
        fields.get("scenario", "everything"), fields.get("seeds", []), fields.get("rule", ""),
    )  # fmt: skip


def plant(mutant: Mutant, folder: Path) -> None:
    """Copy the engine into a folder, with the mutant in it.

    Raises:
        ValueError: It does not apply any more.
    """
    for part in _COPIED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    file = folder / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"the mutant {mutant.name} does not apply: {mutant.file} holds its text "
            f"{text.count(mutant.old)} times, not once; adapt {mutant.name}.toml"
        )
    file.write_text(text.replace(mutant.old, mutant.new))


def hunt(
    folder: Path, scenario: str, seeds: Sequence[int], processes: int = 1
) -> tuple[int, Kill | None]:
    """Play worlds of a copied engine until a rule is broken.

    Returns:
        How many were played, and how the mutant was found; None if it was not.
    """
    command = [
        sys.executable, "-m", "tests.simulation.mutants.hunting", scenario, str(processes),
        *map(str, seeds),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    shown = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if shown.returncode:
        raise RuntimeError(shown.stderr)
    found = json.loads(shown.stdout.splitlines()[-1])
    kill = Kill(**found["kill"]) if found["kill"] else None
    return found["played"], kill
