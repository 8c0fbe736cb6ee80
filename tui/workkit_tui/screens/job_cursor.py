"""The base of lists whose cursor is on a job."""

from __future__ import annotations

from collections.abc import Sequence

from workkit.core.text import clean
from workkit_tui.model.copies import Copy
from workkit_tui.model.job_page import JobPage
from workkit_tui.screens.base import ListScreen
from workkit_tui.screens.comparing import compare
from workkit_tui.screens.job import JobScreen

__all__ = ["JobCursorScreen"]


class JobCursorScreen(ListScreen):
    """A list of jobs."""

    @property
    def page(self) -> JobPage | None:
        """What is known of the job under the cursor; None without one."""
        raise NotImplementedError

    def job_screen(self) -> JobScreen | None:
        """Return a screen of the job under the cursor; None without one."""
        raise NotImplementedError

    def action_open(self) -> None:
        """Open the job under the cursor."""
        screen = self.job_screen()
        if screen is not None:
            self.console.open_screen(screen)

    def action_follow(self) -> None:
        """Open the job under the cursor, and follow it until it ends."""
        page = self.page
        if page is not None and (
            self.console.following(page.job.id) or self.console.follow(page.placed)
        ):
            JobCursorScreen.action_open(self)

    def long_text(self) -> Copy | None:
        """Return the page of the job under the cursor."""
        page, view = self.page, self.console.view
        if page is None or view is None:
            return None
        page.masks, page.now_s = self.console.masks, view.seen.taken_at
        return Copy(page.title, page.text())

    def action_compare(self) -> None:
        """Mark the job under the cursor, or compare it with the marked one."""
        if self.page is not None:
            compare(self, self.page)

    def copies(self) -> Sequence[Copy]:
        """Return the id of the job under the cursor."""
        return [Copy("the job's id", clean(self.page.job.id))] if self.page is not None else []
