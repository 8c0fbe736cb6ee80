"""`python -m workkit`."""

from __future__ import annotations

from workkit.tools.cli import main

if __name__ == "__main__":
    main()
