"""Views of workkit for notebooks: dead jobs to look into and act on, and a live view.

    from workkit import Client
    from workkit_notebook import DeadJobs, Live

    client = Client("work", "redis://localhost:6379")
    DeadJobs(client)  # look; DeadJobs(client, write=True) retries and deletes
    Live(client)

Where no kernel runs, as on a page that only shows notebooks, they are tables.
"""

from __future__ import annotations

from workkit_notebook.dead_jobs import DeadJobs
from workkit_notebook.live import Live

__all__ = ["DeadJobs", "Live"]
