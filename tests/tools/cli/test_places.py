"""`workkit top` on several namespaces: --namespace a,b,c, and a file of servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tools.cli.shell import Shell

pytestmark = pytest.mark.one_server

PLACE = '[[place]]\nredis = "{url}"\nnamespace = "{name}"\n'


def test_an_overview_of_each_is_printed(shell: Shell) -> None:
    shell.enqueuer.enqueue("mail")
    both = f"{shell.namespace},{shell.namespace}-other"
    text = shell.run("top", "--once", "--namespace", both).stdout
    assert text.count(" queued ") == 2
    first, second = json.loads(shell.run("top", "--json", "--namespace", both).stdout)
    assert (first["counts"]["queued"], second["counts"]["queued"]) == (1, 0)


def test_a_file_names_servers_and_one_that_is_away_does_not_hide_the_others(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "places.toml"
    away = PLACE.format(url="unix:///nowhere/redis.sock", name="x") + 'title = "Paris"\n'
    file.write_text(away + PLACE.format(url=shell.url, name=shell.namespace))
    result = shell.run("top", "--once", "--places", str(file), code=69)
    assert "Paris: no answer from Redis" in result.stdout
    assert "0 queued" in result.stdout
    gone, here = json.loads(shell.run("top", "--json", "--places", str(file), code=69).stdout)
    assert gone["label"] == "Paris"
    assert "no answer" in gone["trouble"]
    assert here["counts"]["queued"] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no list of places"),
        ("place = 1", "has no list of places"),
        ("a = ", "is not TOML"),
        ('[[place]]\nredis = "redis://h"', "place 1 of"),
        ("[[place]]\nredis = 1\nnamespace = 2", "needs redis and namespace, both texts"),
        (PLACE.format(url="http://h", name="x"), "a Redis URL starts with redis://"),
        (PLACE.format(url="redis://h", name="x") + "port = '1'", "'port', which is not known"),
        (2 * PLACE.format(url="redis://h", name="x"), "is there twice"),
    ],
)
def test_a_file_that_is_not_valid_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "places.toml"
    file.write_text(text)
    shell = Shell("redis://localhost:1", "x")
    assert message in shell.complaint("top", "--once", "--places", str(file), code=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--namespace", "a,,b", "--once"), "an empty name between two commas"),
        (("--namespace", "a,a", "--once"), "'a' is there twice"),
        (("--namespace", "a,b", "--plain"), "name a single one"),
        (("--places", "/nowhere.toml", "--once"), "cannot be read: No such file"),
    ],
)
def test_places_that_cannot_be_shown_are_refused(options: tuple[str, ...], message: str) -> None:
    assert message in Shell("redis://localhost:1", "x").complaint("top", *options, code=2)
