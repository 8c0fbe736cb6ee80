"""A server is shown without its password, for every form of URL."""

from __future__ import annotations

import pytest

from workkit.core.urls import server_label, without_password
from workkit.store.connections.target import Target
from workkit.tools.cli.common.options import Server


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6379/1", "redis://host:6379/1"),
        ("rediss://me:secret@host/0?a=b", "rediss://host/0"),
        ("redis://host/0?password=secret", "redis://host/0"),
        ("redis://host/0?password=sec@ret", "redis://host/0"),
        ("redis://me:s@cret@host", "redis://host"),
        ("redis://localhost", "redis://localhost"),
        ("redis://:secret@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis+sentinel://:secret@a:1,b:2/main/3", "redis+sentinel://a:1,b:2/main/3"),
        ("unix:///tmp/a@b/server.sock", "unix:///tmp/a@b/server.sock"),
        ("unix://me:secret@/tmp/server.sock?password=secret", "unix:///tmp/server.sock"),
    ],
)
def test_what_is_shown_can_be_used_with_a_password_of_ones_own(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec/ret@host", "redis://me:1/secret@host", "redis://:sec#ret@host",
        "redis://:sec?ret@host", "redis://[secret@host", "secret@host", "secret", "",
        "redis://:sec ret", "redis://host/0#secret",
    ],
)  # fmt: skip
def test_of_a_url_that_cannot_be_read_no_part_is_shown(url: str) -> None:
    shown = without_password(url)
    assert shown in {"...", "redis://..."}


@pytest.mark.parametrize(
    ("settings", "service", "label"),
    [
        ({}, "", "localhost:6379/0"),
        ({"host": "h", "port": 1, "db": 2, "password": "secret"}, "", "h:1/2"),
        ({"path": "/run/r.sock", "db": 2}, "", "unix:///run/r.sock"),
        ({"host": "h"}, "main", "Sentinel's master 'main'"),
    ],
)
def test_a_connection_is_called_by_its_server(
    settings: dict[str, object], service: str, label: str
) -> None:
    assert server_label(settings, service) == label


@pytest.mark.parametrize(
    "url",
    ["redis://", "redis://me:secret@h:1/2", "rediss://h", "unix:///run/r.sock?password=secret"],
)
def test_a_command_and_its_connection_call_a_server_the_same(url: str) -> None:
    assert Server(url, "work").label == Target.of(url).label
    assert "secret" not in Server(url, "work").label
