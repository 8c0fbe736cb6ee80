"""Runs notebooks and saves their outputs: `python notebooks/execute.py [FILE ...]`.

Only the tables of widgets are saved. Their state and the times of the run are left out: both change
every time and have no meaning.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

__all__ = ["execute", "main"]

_HERE = Path(__file__).parent
_CELL_S = 600


def execute(path: Path) -> None:
    """Run a notebook in its folder and write it back.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed; the file stays as it was.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook,
        timeout=_CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
    ).execute()
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def main() -> None:
    """Run those that were named, or all."""
    for path in [Path(name) for name in sys.argv[1:]] or sorted(_HERE.glob("*.ipynb")):
        print(f"running {path} ...", file=sys.stderr)
        execute(path)


if __name__ == "__main__":
    main()
