"""An application that remembers the last hour, and shows any time of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from textual.actions import ActionParseResult
from textual.dom import DOMNode

from workkit.admin.reader import Reader
from workkit.core.clock import Clock
from workkit.core.masks import Masks
from workkit.errors import InvalidOption, ServerError
from workkit.recording import Recorder, Recording, RecordingWriter
from workkit_tui.feed import View
from workkit_tui.guarded import GuardedApp
from workkit_tui.model.hour import Hour, Hours
from workkit_tui.past import Past
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.settings import Settings

__all__ = ["TravellingApp"]

#: In the present, the series of the hour are read once in this time, seconds.
_HOUR_EVERY_S: Final = 10.0
#: The most bytes that a console remembers.
_MOST_BYTES: Final = 16_000_000


class TravellingApp(GuardedApp):
    """Goes back in time.

    Attributes:
        reader: Reads what is shown: the present, or a moment of the past.
        settings: The choices of the user.
        masks: Hides secrets.
        clock: Tells the time.
        past: Where in the past the screen is; None in the present.
        hour: The series of the hour before what is shown; None before they were read.
        frozen: Whether the present is not read.
    """

    reader: Reader
    settings: Settings
    masks: Masks
    clock: Clock
    past: Past | None
    hour: Hour | None
    frozen: bool

    def begin_travel(self, recording: Recording | None, at_s: float | None) -> None:
        """Open a recording, or begin to remember the present.

        Args:
            recording: The recording to show; None to show the present.
            at_s: Its time to show first, epoch seconds.
        """
        self._live = self.reader
        self._recorder: Recorder | None = None
        self._recording = recording
        self.past = None
        self.hour = None
        #: The time that `hour` is of, as `read_hour` compares it.
        self._hour_at = 0.0
        self._reading_hour = False
        if recording is not None:
            self.past = Past(recording, at_s or self.reader.now_s(), self.clock)
        elif self.reader.live and self.settings.look_back_s:
            writer = RecordingWriter(
                None, self.reader.label, every_s=self.settings.refresh_s,
                keep_s=self.settings.look_back_s, most_bytes=_MOST_BYTES,
            )  # fmt: skip
            self._recorder = Recorder(self.reader, writer, self.masks)
            self._recording = self._recorder.recording
        self._hours = Hours(self._recording) if self._recording is not None else None

    def end_travel(self) -> None:
        """Forget what was remembered."""
        if self._recorder is not None:
            self._recorder.close()

    @property
    def in_past(self) -> bool:
        """Whether the past is shown."""
        return self.past is not None

    # The hour before.

    def read_hour(self, view: View) -> None:
        """Read the series of the hour before a view, unless that is being done."""
        if self._hours is None or self._reading_hour:
            return
        past = self.past
        at_s = past.at_s if past is not None else view.seen.taken_at
        wanted = at_s if past is not None else at_s // _HOUR_EVERY_S
        if wanted == self._hour_at:
            return
        self._reading_hour, self._hour_at = True, wanted
        hours = self._hours
        self.run_worker(lambda: self._read_hour(hours, at_s, view), thread=True, group="hour")

    def _read_hour(self, hours: Hours, at_s: float, view: View) -> None:
        hour = None
        with suppress(InvalidOption):  # a banner shows it
            hour = hours.read(at_s, view.seen, view.trends)
        if self.is_running:
            self.call_from_thread(self._hour_read, hour)

    def _hour_read(self, hour: Hour | None) -> None:
        self.hour, self._reading_hour = hour, False
        for screen in self.screen_stack[-1:]:
            if isinstance(screen, ConsoleScreen) and screen.is_built:
                screen.show_hour()

    # Remembering; called on threads.

    def remember(self, view: View) -> None:
        """Remember a view of the present."""
        if self._recorder is not None:
            with suppress(ServerError, InvalidOption):  # looking back must not disturb looking
                self._recorder.record(view.seen, view.digest)

    def remember_trouble(self, trouble: str) -> None:
        """Remember that the server did not answer."""
        if self._recorder is not None:
            with suppress(InvalidOption):
                self._recorder.lost(self.clock.read().epoch_ms / 1_000, trouble)

    # Moving in time.

    def _enter(self) -> Past | None:
        """Return the position in the past, and go there; None if nothing is remembered."""
        if self.past is not None:
            return self.past
        span = self._recording.span if self._recording is not None else None
        if span is None or self._recording is None:
            missing = "--look-back none was chosen" if self.reader.live else "this is a snapshot"
            self.notify(f"There is no past to show: {missing}.", severity="warning")
            return None
        self.past = Past(self._recording, span[1], self.clock)
        return self.past

    def _return(self) -> None:
        """Show the present again; of a file, its end."""
        if self._recorder is not None:
            self.past, self.reader = None, self._live
        elif self.past is not None:
            self.past.at_s = self.past.end_s
            self.past.play(wanted=False)

    def action_step_time(self, by: int) -> None:
        """Go to the next reading (1), or to the one before (-1)."""
        if self.past is None and by > 0:
            return
        past = self._enter()
        if past is not None:
            if not past.step(by):
                if by > 0:
                    self._return()
                else:
                    self.notify("Nothing was recorded before.")
            self._moved()

    def action_move_time(self, seconds: float) -> None:
        """Go on or back by a span of time."""
        if self.past is None and seconds > 0:
            return
        past = self._enter()
        if past is not None:
            if not past.move(seconds):
                self._return()
            self._moved()

    def action_zoom_time(self) -> None:
        """Show another span on the strip."""
        if self.past is not None:
            self.notify(f"The strip shows {self.past.zoom()}.")
            self._moved()

    def go_to_time(self, text: str) -> None:
        """Go to a time as it was typed, such as 03:12.

        Raises:
            InvalidOption: It is not a time, or it was not recorded.
        """
        if text.strip() == "now":
            self._return()
            self._moved()
            return
        before = self.past
        past = self._enter()
        if past is None:
            return
        try:
            past.go(text)
        except InvalidOption:
            self.past = before
            raise
        self._moved()

    def action_present(self) -> None:
        """Read a view of the present at once."""
        self._return()
        self._moved()

    def _moved(self) -> None:
        """Look at the new time at once."""
        self.frozen = False
        self.action_refresh_now()

    def action_refresh_now(self) -> None:
        """Read a view at once."""
        raise NotImplementedError

    def play_or_stop(self) -> None:
        """Play the recording, or stop."""
        if self.past is not None:
            at_end = not self.past.is_playing and self.past.at_s >= self.past.end_s
            self.past.play(wanted=not self.past.is_playing and not at_end)
            if at_end:
                self.notify("This is the end of the recording; [ and { go back.")
            self._moved()

    # Refusing.

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action; refuse by its name one that would change something in the past."""
        screen: Any = self.screen
        if self.past is not None and isinstance(screen, ConsoleScreen):
            for key in screen.all_keys():
                if key.acts and key.action == action:
                    self._refuse(key.label)
                    return True
        return await super().run_action(action, default_namespace, namespaces)

    def _refuse(self, name: str) -> None:
        assert self.past is not None  # noqa: S101 - the caller has looked
        back = "; ^r returns to the present" if self._recorder is not None else ""
        said = f"this is a recording, at {self.past.time}; nothing can be changed in it{back}."
        self.notify(f"{name.capitalize()} is refused: {said}", severity="warning")
