"""The files of the demo: they are real, and the files that are left out are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit.tools.demo.workload import (
    MAX_BYTES,
    SourceFile,
    Workload,
    find_sources,
    source_roots,
)

NAMES = st.sampled_from(["a/x.py", "a/y.py", "b/z.py", "test/tokenizedata/bad_coding.py"])
FILES = st.lists(
    st.builds(
        lambda name, size: SourceFile(f"/{name}", name, name.partition("/")[0], size),
        NAMES,
        st.integers(0, 2 * MAX_BYTES),
    ),
    max_size=60,
)


def file(name: str, size: int = 10) -> SourceFile:
    return SourceFile(f"/root/{name}", name, name.partition("/")[0], size)


@given(FILES, st.integers(1, 70))
def test_every_file_is_processed_or_counted_as_left_out(
    found: list[SourceFile], limit: int
) -> None:
    workload = Workload.choose(found, limit)
    assert len(workload.files) + workload.over_limit + workload.over_size == len(found)
    assert len(workload.files) <= limit
    assert all(chosen.size <= MAX_BYTES for chosen in workload.files)
    if limit >= len(found):
        assert workload.over_limit == 0


@given(FILES, st.integers(1, 70))
def test_suspects_come_first_and_are_left_out_last(found: list[SourceFile], limit: int) -> None:
    workload = Workload.choose(found, limit)
    suspects = [chosen.is_suspect for chosen in workload.files]
    assert suspects == sorted(suspects, reverse=True)
    fitting = [one for one in found if one.size <= MAX_BYTES]
    assert workload.suspects == min(limit, sum(one.is_suspect for one in fitting))


def test_a_limit_takes_files_from_the_whole_tree() -> None:
    found = [file(f"p{number:03}/m.py") for number in range(100)]
    chosen = Workload.choose(found, 4).files
    assert [one.package for one in chosen] == ["p000", "p025", "p050", "p075"]


@pytest.mark.parametrize(
    "name",
    [
        "test/tokenizedata/bad_coding.py",  # CPython 3.11 to 3.14
        "test/tokenizedata/badsyntax_3131.py",
        "test/badsyntax_future3.py",
        "test/test_future_stmt/badsyntax_future3.py",
        "lib2to3/tests/data/bom.py",
        "test/test_lib2to3/data/crlf.py",
    ],
)
def test_source_that_is_invalid_on_purpose_is_recognised(name: str) -> None:
    assert file(name).is_suspect


@pytest.mark.parametrize(
    "name", ["ast.py", "test/test_bad.py", "redis/bad.py", "lib2to3/tests/data/fixers/fix_first.py"]
)
def test_other_files_are_not_suspects(name: str) -> None:
    assert not file(name).is_suspect


def test_a_walk_finds_source_in_the_order_of_names_and_nothing_twice(tmp_path: Path) -> None:
    for name in (
        "top.py", "b/one.py", "b/deep/two.py", "a/__init__.py",
        "b/__pycache__/one.py", "site-packages/other/x.py", "b/data.txt",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")

    found = list(find_sources([str(tmp_path)]))

    assert [(one.name, one.package) for one in found] == [
        ("top.py", f"{tmp_path.name} modules"),
        ("a/__init__.py", "a"),
        ("b/one.py", "b"),
        ("b/deep/two.py", "b"),
    ]
    assert {one.size for one in found} == {6}
    assert all(Path(one.path).is_file() for one in found)


def test_the_roots_are_those_of_this_interpreter() -> None:
    roots = source_roots()
    assert str(Path(pytest.__file__).resolve().parent.parent) in roots
    assert any((Path(root) / "ast.py").is_file() for root in roots)
    assert len(roots) == len(set(roots))
