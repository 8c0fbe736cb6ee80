"""The command line, `workkit`.

At the top, modules import only click and the standard library. A command imports the rest when it
runs. So help, completion and usage errors answer at once.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments, and exit."""
    try:
        from workkit.tools.cli.app import run

        run()
    except KeyboardInterrupt:  # before a command has started
        sys.exit(130)
