"""Files that appear when they are complete."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workkit import InvalidOption
from workkit.core.whole_file import whole_file, whole_path


def test_a_new_file_belongs_to_its_owner_only(tmp_path: Path) -> None:
    with whole_file(tmp_path / "new") as file:
        file.write(b"all")
    assert (tmp_path / "new").read_bytes() == b"all"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    with whole_file(tmp_path / "new") as file:
        file.write(b"part")
        file.flush()
        assert not (tmp_path / "new").exists()


def test_a_file_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"before")
    old.chmod(0o640)
    with whole_file(old) as file:
        file.write(b"after")
    assert old.read_bytes() == b"after"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"before")
    (tmp_path / "link").symlink_to("target")
    with whole_file(tmp_path / "link") as file:
        file.write(b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"after"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    (tmp_path / "old").write_bytes(b"before")
    with pytest.raises(error), whole_file(tmp_path / "old") as file:
        file.write(b"part")
        raise error
    assert (tmp_path / "old").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_failed_write_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no more"), whole_path(tmp_path / "new") as path:
        path.write_bytes(b"part")
        raise ValueError("no more")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"before")
    with (
        _largest_file(1_000),
        pytest.raises(InvalidOption, match="old cannot be written: File too large"),
        whole_file(tmp_path / "old") as file,
    ):
        file.write(b"x" * 10_000)
    assert (tmp_path / "old").read_bytes() == b"before"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="is not a regular file"):  # noqa: SIM117 - the refusal is the point
        with whole_file(tmp_path):
            pytest.fail("a folder was opened")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    with (
        pytest.raises(InvalidOption, match=f"{path} cannot be written: No such file"),
        whole_file(path),
    ):
        pytest.fail("a file was opened")


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(InvalidOption, match="pipe is not a regular file, so it cannot be replaced"),
        whole_file(tmp_path / "pipe"),
    ):
        pytest.fail("a pipe was opened")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_long_name_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    with whole_file(path) as file:
        file.write(b"all")
    assert path.read_bytes() == b"all"


@contextmanager
def _largest_file(most_bytes: int) -> Iterator[None]:
    """Let this process write no larger files, as on a full disk."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_name_that_the_system_refuses_is_named_with_the_reason(tmp_path: Path) -> None:
    name = "n" * 300
    refused = pytest.raises(InvalidOption, match=f"{name} cannot be written: ")
    with refused, whole_file(tmp_path / name):
        pass
    assert not list(tmp_path.iterdir())
