"""The Go peer as tests see it: enqueuer, pool and client of one process."""

from __future__ import annotations

from tests.parity.gopeer.client import GoClient
from tests.parity.gopeer.duties import GoDuties
from tests.parity.gopeer.enqueuer import GoEnqueuer


class GoPeer(GoDuties, GoEnqueuer, GoClient):
    """A process that runs a pool of the original, enqueues, and looks at its pages."""

    def run_all(self) -> int:
        """Fetch and process jobs until there is nothing that this pool may fetch.

        Returns:
            How many jobs were run.
        """
        count = 0
        while (claim := self.fetch()) is not None:
            self.process(claim)
            count += 1
        return count
