"""Virtual environments of other libraries, made on demand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.peers.settings import Peer
from benchmarks.workers import ROOT

__all__ = ["NotInstalled", "program", "provide", "versions"]

_HOME: Final = ROOT / "benchmarks" / ".venvs"
_STAMP: Final = "requirements.json"

_SHOW: Final = """
import json, sys
from importlib import metadata
print(json.dumps({name: metadata.version(name) for name in sys.argv[1:]}))
"""


class NotInstalled(Exception):
    """A library cannot be installed; the message is the end of pip's output."""


def provide(peer: Peer, say: Callable[[str], None]) -> None:
    """Make the environment of a library unless it is there with the same requirements.

    Args:
        peer: The library.
        say: Takes progress.

    Raises:
        NotInstalled: pip cannot install it.
    """
    if not peer.environment:
        return
    home = _HOME / peer.environment
    stamp = home / _STAMP
    wanted = json.dumps(peer.requirements)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    say(f"installing {', '.join(peer.requirements)} into {home.relative_to(ROOT)} ...")
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "install", "--quiet", "--upgrade", *peer.requirements])
    stamp.write_text(wanted, "utf-8")


def program(peer: Peer, name: str) -> str:
    """Return the path of a program in the environment of a library."""
    if not peer.environment:
        return str(Path(sys.executable).with_name(name))
    return str(_HOME / peer.environment / "bin" / name)


def versions(peer: Peer) -> str:
    """Return a library's versions for display, such as "rq 3.0.0, redis 8.1.0"."""
    shown = _run([program(peer, "python"), "-c", _SHOW, *peer.shown])
    return ", ".join(f"{name} {version}" for name, version in json.loads(shown).items())


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR")] or said or ["no message"]
        raise NotInstalled(errors[-1])
    return done.stdout
