"""Frames can be read where files have no locks, as on Windows; archives are not changed there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.recorded import DAY_MS, NOON_MS, Recorded
from workkit import frames

pytestmark = pytest.mark.one_server

#: Takes away what Windows does not have, reads an archive, and tries to change it.
PROGRAM: Final = """
import json, os, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
del os.O_DIRECTORY, os.fork, os.getuid
from workkit import InvalidOption, frames

def no_folder(path, *args, opened=os.open, **options):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied")
    return opened(path, *args, **options)

os.open = no_folder
root, file = sys.argv[1:]
scan = frames.scan(root)
found = {
    "history": len(frames.history(root)),
    "scan": len(scan.pandas()),
    "throughput": int(frames.throughput(scan, "1h")["executions"].sum()),
    "promise": int(frames.slo(scan)["executions"][0]),
    "journeys": len(frames.journeys(root)),
    "file": len(frames.read(file, "history")),
    "gaps": len(frames.archive_gaps(root)),
}
refused = []
for change in (
    lambda: frames.archive(None, root), lambda: frames.compact(root),
    lambda: frames.forget(root, "1d"),
):
    try:
        change()
    except InvalidOption as error:
        refused.append(str(error))
print(json.dumps([found, refused]))
"""


def test_frames_are_read_without_locks_and_archives_are_not_changed(tmp_path: Path) -> None:
    past: Any = Recorded()
    for day in range(3):
        past.write_jobs(2, NOON_MS + day * DAY_MS)
    root, file = tmp_path / "archive", tmp_path / "history.parquet"
    frames.archive(past, root)
    frames.write(frames.history(root), file, "history")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, root, file],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
    found, refused = json.loads(done.stdout)
    assert found.pop("gaps") == 0
    assert found == dict.fromkeys(found, 6)
    assert len(refused) == 3
    for why in refused:
        assert why.startswith(f"{root} cannot be changed here: this system has no locks of files")
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
