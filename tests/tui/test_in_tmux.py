"""The real program on a real terminal, with a live pool."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import WaitUntil
from tests.tui.programs import program
from tests.tui.stage import ConsoleStage
from workkit import Job, WorkerPool

pytestmark = pytest.mark.one_server

#: Variables that would hide the terminal's true size.
_SIZES = frozenset({"COLUMNS", "LINES"})


class Terminal:
    """A terminal of tmux."""

    def __init__(self, tmux: str, socket: Path) -> None:
        self._command = [tmux, "-S", str(socket), "-f", "/dev/null"]

    def run(self, *args: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in _SIZES}
        done = subprocess.run(
            [*self._command, *args],
            check=False, capture_output=True, text=True, timeout=20, env=kept,
        )  # fmt: skip
        return done.stdout

    def type(self, *keys: str) -> None:
        self.run("send-keys", "-t", "top", *keys)

    @property
    def text(self) -> str:
        return self.run("capture-pane", "-p", "-t", "top")

    @property
    def alive(self) -> bool:
        return "top" in self.run("list-sessions")


@contextmanager
def terminal(stage: ConsoleStage, tmp_path: Path, *args: str) -> Iterator[Terminal]:
    """Run the console in tmux."""
    tmux = program("tmux")
    shown = Terminal(tmux, tmp_path / "tmux")
    root = Path(__file__).parents[2]
    paths = f"PYTHONPATH={root}:{root / 'tui'}"
    words = [sys.executable, "-m", "workkit", "top", "--refresh", "0.2", *args]
    shown.run("kill-server")
    start = ["new-session", "-d", "-s", "top", "-x", "100", "-y", "30"]
    start += ["-e", f"WORKKIT_REDIS_URL={stage.url}"]
    start += ["-e", f"WORKKIT_NAMESPACE={stage.namespace}"]
    shown.run(*start, "-e", paths, *words)
    try:
        yield shown
    finally:
        shown.run("kill-server")


def test_a_dead_job_is_retried_from_the_keyboard_and_seen_to_succeed(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil
) -> None:
    from workkit.core.clock import SystemClock

    stage.clock.epoch_ms = SystemClock().read().epoch_ms
    stage.dead("a" * 24, 60, args={"to": "ann@example.com"})
    pool = WorkerPool(stage.namespace, stage.url, concurrency=2)
    ran: list[str] = []

    @pool.job
    def mail(job: Job) -> None:
        ran.append(job.arg_str("to"))

    def sees(*parts: str) -> Callable[[], bool]:
        return lambda: all(part in shown.text for part in parts)

    with pool, terminal(stage, tmp_path) as shown:
        wait_until(sees("Overview", "1 of 1 pool alive"), 30)
        shown.type("6")
        wait_until(sees("1 job · newest first", "Timeout: 30 s"))
        shown.type("Enter")
        wait_until(sees("Why it is not running", "it runs again only if you retry it"))
        shown.type("r")
        wait_until(sees("Retry 1 job of the dead set?", "y goes ahead"))
        shown.type("y")
        wait_until(sees("1 job retried"))
        wait_until(lambda: ran == ["ann@example.com"])
        shown.type("Escape")
        wait_until(sees("it is not in the dead set any more"))
        shown.type("Escape")
        wait_until(sees("there are no jobs here"))
        shown.run("resize-window", "-t", "top", "-x", "80", "-y", "24")
        wait_until(lambda: len(shown.text.rstrip("\n").splitlines()) == 24)
        shown.type(":", "q", "Enter")
        wait_until(lambda: not shown.alive)
    (done,) = stage.client.job_history("a" * 24)
    assert done.outcome == "done"


def test_a_console_that_was_killed_leaves_an_undo_to_the_next(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil
) -> None:
    from workkit.core.clock import SystemClock

    stage.clock.epoch_ms = SystemClock().read().epoch_ms
    raws = {stage.dead(f"{n:024x}", 60 + n) for n in range(30)}
    with terminal(stage, tmp_path) as shown:
        wait_until(lambda: "Overview" in shown.text, 30)
        shown.type("6", "a", "d")
        wait_until(lambda: "Delete 30 jobs of the dead set?" in shown.text)
        wait_until(lambda: "y goes ahead" in shown.text)
        shown.type("y")
        wait_until(lambda: "30 jobs deleted" in shown.text)
    assert stage.redis.zcard(stage.keys.dead) == 0
    with terminal(stage, tmp_path) as shown:
        wait_until(lambda: "Overview" in shown.text, 30)
        shown.type("9")
        wait_until(lambda: "30 jobs can be brought back" in shown.text)
        shown.type("u")
        wait_until(lambda: "30 jobs are back" in shown.text)
    assert set(stage.redis.zrange(stage.keys.dead, 0, -1)) == raws


POOL = """
import sys
from workkit import WorkerPool
pool = WorkerPool(sys.argv[2], sys.argv[1], concurrency=2)
@pool.job
def mail(job):
    import time
    time.sleep(600)
pool.run()
"""


def test_a_recording_of_a_killed_pool_is_scrubbed(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil
) -> None:
    from workkit.recording import Recording

    path = tmp_path / "night.wkr"
    root = Path(__file__).parents[2]
    env = {
        **os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tui'}",
        "WORKKIT_REDIS_URL": stage.url, "WORKKIT_NAMESPACE": stage.namespace,
    }  # fmt: skip
    command = [sys.executable, "-m", "workkit", "record", str(path), "--every", "0.5s"]

    def happened() -> list[str]:
        if not path.exists():
            return []
        recording = Recording(path)
        found: list[str] = [mark.kind for mark in recording.marks(0, 10**11)]
        recording.close()
        return found

    from workkit import Enqueuer

    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as recorder:
        try:
            wait_until(lambda: "begins" in happened(), 30)
            with Enqueuer(stage.namespace, stage.url) as enqueuer:
                enqueuer.enqueue("mail", {"to": "ann", "api_token": "sk-12345678"})
            pool = subprocess.Popen([sys.executable, "-c", POOL, stage.url, stage.namespace])
            try:
                wait_until(lambda: "came" in happened() and stage.client.queues()[0].running, 30)
                wait_until(lambda: _running(path) == 1, 60)
            finally:
                pool.kill()
                pool.wait()
            wait_until(lambda: "died" in happened(), 40)
        finally:
            recorder.kill()

    def sees(*parts: str) -> Callable[[], bool]:
        return lambda: all(part in shown.text for part in parts)

    with terminal(stage, tmp_path, "--recording", str(path)) as shown:
        wait_until(sees("workkit past of", "✝", "0 of 1 pool alive"), 30)
        wait_until(sees("went silent"))
        shown.type("{")
        wait_until(sees("recording begins"))
        shown.type("3")
        for _ in range(200):
            if "•••" in shown.text:
                break
            shown.type("]")
        wait_until(sees("mail", "•••"))
        assert "sk-12345678" not in shown.text
        shown.type("6", "d")
        wait_until(sees("Delete is refused: this is a recording, at"))
        shown.type(":", "n", "o", "w", "Enter", "1")
        wait_until(sees("0 of 1 pool alive"))
        shown.type("q")
        wait_until(lambda: not shown.alive)


def _running(path: Path) -> int:
    from workkit.recording import Recording

    recording = Recording(path)
    assert recording.span is not None
    moment = recording.moment(recording.span[1])
    recording.close()
    return len(moment.worker_observations())


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_draw_gets_a_sentence_instead_of_a_screen(
    stage: ConsoleStage, term: str
) -> None:
    mine, theirs = pty.openpty()
    root = Path(__file__).parents[2]
    env = {
        **os.environ, "TERM": term, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tui'}",
        "WORKKIT_REDIS_URL": stage.url, "WORKKIT_NAMESPACE": stage.namespace,
    }  # fmt: skip
    command = [sys.executable, "-m", "workkit", "top"]
    done = subprocess.run(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=env, timeout=60,
        check=False, text=True,
    )  # fmt: skip
    os.close(theirs)
    os.close(mine)
    assert done.returncode == 2
    assert f"TERM={term} cannot draw the console; --plain reads commands" in done.stderr


def test_a_job_is_edited_in_the_editor_of_the_terminal(
    stage: ConsoleStage, tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workkit.core.clock import SystemClock

    stage.clock.epoch_ms = SystemClock().read().epoch_ms
    stage.dead("a" * 24, 60, args={"n": 1})
    editor = tmp_path / "editor"
    editor.write_text("""#!/bin/sh\necho 'the editor is open'; read x; sed -i 's/1/2/' "$1"\n""")
    editor.chmod(0o700)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(editor))
    with terminal(stage, tmp_path) as shown:
        wait_until(lambda: "Overview" in shown.text, 30)
        shown.type("6")
        wait_until(lambda: "1 job" in shown.text, 30)
        shown.type("c")
        wait_until(lambda: "the editor is open" in shown.text, 30)
        shown.type("Enter")
        wait_until(lambda: "y goes ahead" in shown.text, 30)
        assert '+  "n": 2' in shown.text
        shown.type("y")
        wait_until(lambda: "The job is edited" in shown.text, 30)
    assert [entry.job.args for entry in stage.client.iter_queued_jobs("mail")] == [{"n": 2}]
