"""Records what the console shows over hours, in one bounded file, and reads it again.

`Recorder` writes; `Recording` reads, also while it is written. `Recording.moment` implements
`workkit.Reader`, so all code that reads a live namespace can read the past.
"""

from __future__ import annotations

from workkit.recording.file import RecordingHeader
from workkit.recording.marks import Mark
from workkit.recording.moment import Moment
from workkit.recording.reading import Recording, is_recording
from workkit.recording.recorder import Observer, Recorder
from workkit.recording.writer import RecordingWriter

__all__ = [
    "Mark",
    "Moment",
    "Observer",
    "Recorder",
    "Recording",
    "RecordingHeader",
    "RecordingWriter",
    "is_recording",
]
