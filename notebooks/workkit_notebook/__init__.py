"""Views of workkit for notebooks: dead jobs, with actions, and a live view.

    from workkit import Client
    from workkit_notebook import DeadJobs, Live

    client = Client("work", "redis://localhost:6379")
    DeadJobs(client)  # read-only; DeadJobs(client, write=True) retries and deletes
    Live(client)

Without a kernel, for example on a page that only shows notebooks, the views are tables.
"""

from __future__ import annotations

import workkit_notebook.extra  # noqa: F401 - first, because it names the extra of notebooks
from workkit_notebook.dead_jobs import DeadJobs
from workkit_notebook.live import Live

__all__ = ["DeadJobs", "Live"]
