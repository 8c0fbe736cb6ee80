"""The console behind `workkit top`: shows which jobs are stuck and why, and repairs it.

It reads through a `workkit.Reader` and acts through `workkit.admin.actions`; it knows nothing of
Redis. `app` is the application, `screens/` has one screen a file, `widgets/` their parts,
`model/` the computations, `keys` the keys as data, `tabs` the registry of tabs.
"""

from __future__ import annotations

import workkit_tui.extra  # noqa: F401 - first, because it names the extra of the console
from workkit_tui.settings import Settings

__all__ = ["Settings"]
