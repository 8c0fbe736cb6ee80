"""The command line, `workkit`.

Modules import nothing but click and the standard library at the top; what talks to Redis is
imported when a command runs, so that help, completion and a typing error answer at once.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments, and exit."""
    try:
        from workkit.tools.cli.app import run

        run()
    except KeyboardInterrupt:  # before a command had begun
        sys.exit(130)
