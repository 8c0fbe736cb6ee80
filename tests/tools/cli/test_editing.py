"""`workkit edit`."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tools.cli.shell import Shell, publish, put, spawn

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

DIED_AT = 1_700_000_000
ID = "ab" * 12


@pytest.fixture
def dead(shell: Shell, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A dead job with the args {"n": 1}; files of editors go into this test's folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return put(redis_client, shell.namespace, "dead", DIED_AT, fails=4, err="E: x")


def editor(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Make a program the editor; its only argument is the file."""
    path = folder / "an editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{path}'")


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("workkit-*.json*"))


def queued(shell: Shell) -> list[object]:
    return [entry.job.args for entry in shell.client.iter_queued_jobs("import_rows")]


def test_an_editor_changes_the_args_and_the_job_runs_again(
    shell: Shell, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(monkeypatch, tmp_path, """sed -i 's/"n": 1/"n": 2/' "$1" """)
    result = shell.run("edit", dead, "--yes")
    assert result.stdout == f"edited job {dead} of the dead set, it runs again\n"
    for line in ('-  "n": 1', '+  "n": 2', "it runs the job again, as if it had never failed"):
        assert line in result.stderr
    assert queued(shell) == [{"n": 2}]
    assert kept(tmp_path) == []
    operation = result.stderr.rpartition("workkit undo ")[2].strip()
    assert shell.run("undo", operation).stdout == "brought back 1 job\n"
    assert [each.job.args for each in shell.client.iter_dead_jobs()] == [{"n": 1}]


@pytest.mark.parametrize("given", ["--args", "--args-file", "stdin"])
def test_args_can_be_given_without_an_editor(
    shell: Shell, dead: str, tmp_path: Path, given: str
) -> None:
    text = '{"n": 3}'
    (tmp_path / "new.json").write_text(text)
    args = {
        "--args": ("--args", text),
        "--args-file": ("--args-file", str(tmp_path / "new.json")),
        "stdin": ("--args-file", "-"),
    }[given]
    shell.run("edit", dead, "--from", "dead", *args, "--yes", stdin=text)
    assert queued(shell) == [{"n": 3}]


def test_a_dry_run_changes_nothing(shell: Shell, dead: str) -> None:
    told = shell.json("edit", dead, "--args", '{"n": 3}', "--dry-run")
    assert told["difference"] == [" {", '-  "n": 1', '+  "n": 3', " }"]
    assert told["operation_id"] == ""
    assert queued(shell) == []
    assert shell.json("audit-log") == []


def test_json_names_the_operation(shell: Shell, dead: str) -> None:
    told = shell.json("edit", dead, "--args", '{"n": 3}', "--yes")
    shell.run("undo", told["operation_id"])
    assert queued(shell) == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 3", "ended with 3; nothing was changed"),
        ('rm "$1"', "cannot be read"),
        ("true", "are as they were; nothing is to do"),
        ("kill -9 $$", "ended with -9; nothing was changed"),
    ],
)
def test_an_editor_that_fails_or_changes_nothing_is_told(
    shell: Shell, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    editor(monkeypatch, tmp_path, script)
    assert told in shell.complaint("edit", dead, "--yes", code=1)
    assert kept(tmp_path) == []
    assert queued(shell) == []


@pytest.mark.parametrize("named", ["no-such-editor-x", "'unclosed", "/etc/passwd"])
def test_an_editor_that_is_none_is_told_before_anything(
    shell: Shell, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", named)
    told = shell.complaint("edit", dead, "--yes", code=1)
    assert told.startswith("workkit: EDITOR ")
    assert kept(tmp_path) == []


def test_a_text_that_cannot_be_used_is_kept_in_a_private_file_and_can_be_used_later(
    shell: Shell, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(monkeypatch, tmp_path, """echo '{"n": 2,}' > "$1" """)
    told = shell.complaint("edit", dead, "--yes", code=2)
    (path,) = kept(tmp_path)
    assert f"your text is kept: workkit edit {dead} --args-file {path}" in told
    assert "not JSON" in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert queued(shell) == []
    path.write_text('{"n": 2}')
    shell.run("edit", dead, "--args-file", str(path), "--yes")
    assert queued(shell) == [{"n": 2}]


def test_a_job_that_runs_while_it_is_edited_keeps_the_text(
    shell: Shell,
    dead: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_client: Redis,
) -> None:
    editor(monkeypatch, tmp_path, """sed -i 's/1/2/' "$1"; touch "$(dirname "$1")/edited" """)
    plan_edit = type(shell.client.actions).plan_edit

    def and_vanish(self: object, *args: object, insist: bool) -> object:
        plan = plan_edit(self, *args, insist=insist)  # type: ignore[arg-type]
        redis_client.delete(f"{shell.namespace}:dead")
        return plan

    monkeypatch.setattr("workkit.admin.actions.Actions.plan_edit", and_vanish)
    told = shell.run("edit", dead, "--yes", code=1).stderr
    assert "it has run, moved or been deleted meanwhile" in told
    assert "your text is kept" in told
    assert kept(tmp_path)


def test_a_job_that_is_nowhere_or_runs_is_told(shell: Shell) -> None:
    shell.enqueuer.enqueue("mail")
    told = shell.complaint("edit", "nobody", "--args", "{}", "--yes", code=1)
    assert "no queue or set holds a job nobody" in told
    told = shell.complaint("edit", "x", "--queue", "mail", "--args", "{}", "--yes", code=1)
    assert "holds no job x" in told


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--from", "dead", "--queue", "mail", "--yes"), "either --from or --queue"),
        (("--args", "{}", "--args-file", "-", "--yes"), "either --args or --args-file"),
        (("--args", "{}"), "stdin is not a terminal; pass --yes to edit, or --dry-run"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    shell: Shell, args: tuple[str, ...], told: str
) -> None:
    assert told in shell.complaint("edit", ID, *args, code=2)


def test_no_text_of_a_job_moves_the_cursor(shell: Shell, redis_client: Redis) -> None:
    put(redis_client, shell.namespace, "dead", DIED_AT, args={"a": "\x9b2J\u202e", "n": 1})
    result = shell.run("edit", ID, "--args", json.dumps({"a": "\x9b2J\u202e", "n": 2}), "--yes")
    assert "\x9b" not in result.stderr
    assert "\u202e" not in result.stderr


def test_on_a_terminal_it_asks_and_lets_one_edit_again(
    shell: Shell, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(
        monkeypatch, tmp_path,
        """if grep -q broken "$1"; then echo '{"n": 5}' > "$1"; else echo broken > "$1"; fi""",
    )  # fmt: skip
    env = shell.env | {"EDITOR": os.environ["EDITOR"], "TMPDIR": str(tmp_path)}
    ours, theirs = pty.openpty()
    try:
        with spawn("edit", dead, env=env, stdin=theirs, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            os.write(ours, b"y\ny\n")
            assert process.wait(30) == 0
            said = process.stdout.read()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Edit it again?" in said
    assert queued(shell) == [{"n": 5}]


def test_args_that_do_not_fit_a_typed_task_are_refused_unless_somebody_insists(
    shell: Shell, redis_client: Redis, dead: str
) -> None:
    publish(shell, redis_client)
    args = ("edit", dead, "--args", '{"n": "2", "tags": ["a", 1]}', "--yes")
    result = shell.run(*args, code=2)
    assert result.stderr.splitlines()[-1] == (
        "workkit: args.n: expected int, got str; args.tags[1]: expected str, got int "
        "(import_rows takes n: int, tags: list[str] | null = ...); --insist uses them"
    )
    assert queued(shell) == []
    result = shell.run(*args, "--insist")
    assert "warning: args.n: expected int, got str (you insist)" in result.stderr
    assert queued(shell) == [{"n": "2", "tags": ["a", 1]}]


def test_the_editor_shows_what_a_task_takes_in_comments_that_are_left_out(
    shell: Shell, redis_client: Redis, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(shell, redis_client)
    editor(monkeypatch, tmp_path, f"""cp "$1" {tmp_path}/seen; sed -i 's/"n": 1/"n": 7/' "$1" """)
    shell.run("edit", dead, "--yes")
    first, _, rest = (tmp_path / "seen").read_text().partition("\n")
    assert first == "// takes n: int, tags: list[str] | null = ..."
    assert rest.startswith("// These lines are left out")
    assert queued(shell) == [{"n": 7}]


def test_a_text_that_does_not_fit_is_kept(
    shell: Shell, redis_client: Redis, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(shell, redis_client)
    editor(monkeypatch, tmp_path, """sed -i 's/"n": 1/"n": "x"/' "$1" """)
    result = shell.run("edit", dead, "--yes", code=2)
    (path,) = kept(tmp_path)
    assert f"--args-file {path}" in result.stderr
    shell.run("edit", dead, "--yes", "--insist", "--args-file", str(path))
    assert queued(shell) == [{"n": "x"}]
