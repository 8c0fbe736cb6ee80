"""The console behind `workkit top`: what is stuck, why, and the keys that mend it.

It reads through a `workkit.Reader` and acts through `workkit.admin.actions`; it knows nothing of
Redis. `app` is the application, `screens/` has one screen a file, `widgets/` what they are made of,
`model/` what is computed without a terminal, `keys` the keys as data.
"""

from __future__ import annotations

from workkit_tui.settings import Settings

__all__ = ["Settings"]
