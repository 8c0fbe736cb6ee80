"""Secrets are hidden in all places: in args, errors, unique keys, check-ins and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.pressing import NUMBER, App, P
from tests.tui.stage import ConsoleStage, shown
from workkit.core.history import Record
from workkit.core.masks import HIDDEN, Masks
from workkit_tui.settings import DEFAULT_MASKS

MASKS = Masks(DEFAULT_MASKS)
SECRET = "hunter2-hunter2"  # noqa: S105 - a secret of nobody


@pytest.mark.parametrize(
    "name",
    [
        "password", "Password", "db_password", "pwd", "PWD", "Auth", "auth", "X-Auth", "oauth",
        "Authorization", "Proxy-Authorization", "X-Api-Key", "x_api_key", "apiKey", "APIKEY",
        "cookie", "Set-Cookie", "card_number", "cardNumber", "card-number", "privateKey",
        "access.key", "session_id", "sessionId", "jwt", "otp", "pin", "cvc", "dsn", "passphrase",
        "DATABASE_URL", "client_secret", "refresh-token", "signature",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [SECRET, 4_111_111_111_111_111, [SECRET], {"a": SECRET}])
def test_values_are_hidden_by_their_names(name: str, value: Any) -> None:
    assert MASKS.hide({"deep": [{name: value}]}) == {"deep": [{name: HIDDEN}]}


@pytest.mark.parametrize("depth", [50, 250, 400, 700])
def test_no_depth_shows_a_secret_and_none_is_an_error(depth: int) -> None:
    """Beyond some hundred levels Python has no stack to look for secrets."""
    for before, after in (("[", "]"), ('{"a":', "}")):
        text = before * depth + f'{{"password": "{SECRET}"}}' + after * depth
        args = json.loads(text)
        for hidden in (MASKS.hide(args), MASKS.json(text), MASKS.brief(args, 10_000)):
            assert SECRET not in str(hidden)
            assert HIDDEN in str(hidden)
        assert SECRET not in MASKS.text(f"{SECRET} was refused", args)
    assert MASKS.json("[" * 100_000) == {"nested too deeply to be shown": HIDDEN}


@pytest.mark.parametrize(
    "name", ["author", "authors", "to", "keyboard", "passenger", "compass", "spinning", "lessNoise"]
)
def test_other_names_are_left_alone(name: str) -> None:
    assert MASKS.hide({name: "seen"}) == {name: "seen"}


@pytest.mark.parametrize(
    "args",
    [
        {"headers": [["Authorization", f"Bearer {SECRET}"]]},
        {"headers": ["Authorization", f"Bearer {SECRET}", "Accept", "*/*"]},
        {"headers": [f"Authorization: Bearer {SECRET}"]},
        {"headers": [f"Cookie: a=1; session={SECRET}"]},
        {"header": {"name": "X-Api-Key", "value": SECRET}},
        {"argv": ["curl", "--token", SECRET]},
        {"argv": [f"--password={SECRET}"]},
        {"url": f"postgres://app:{SECRET}@db/app"},
        {"url": f"redis://:{SECRET}@db:6379/0"},
        {"url": f"https://{SECRET}{SECRET}@github.com/x"},
        {"url": f"https://example.com/?a=1&access_token={SECRET}&b=2"},
        {"note": f"Bearer {SECRET}"},
        {"body": json.dumps({"password": SECRET})},
        {"body": json.dumps(json.dumps({"password": SECRET}))},
        {"password": SECRET, "copy": f"it is {SECRET}!"},
    ],
)
def test_secrets_are_hidden_by_their_form(args: Any) -> None:
    assert SECRET not in json.dumps(MASKS.hide(args))
    assert HIDDEN in json.dumps(MASKS.hide(args), ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        f"login failed: password={SECRET}",
        f"login failed: {{'password': '{SECRET}', 'user': 'ann'}}",
        f'body was {{"api_key": "{SECRET}"}}',
        f"401 for url: https://ann:{SECRET}@example.com/",
        f"sent Authorization: Bearer {SECRET}",
        f"sent Cookie: session={SECRET}",
        f'key unique:mail:{{"token":"{SECRET}"}}',
    ],
)  # fmt: skip
def test_secrets_are_hidden_in_texts(text: str) -> None:
    assert SECRET not in MASKS.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "InvalidToken: it expired", "TokenError: it expired", "KeyError: 'to'",
        "http://127.0.0.1:8000/users?mail=ann@example.com", "basic settings are missing",
        "page 7 of 9: http://example.com/a:b", "",
    ],
)  # fmt: skip
def test_texts_without_secrets_are_left_alone(text: str) -> None:
    assert MASKS.text(text) == text


def test_what_is_hidden_in_args_is_hidden_in_the_error_too() -> None:
    assert MASKS.text(f"bad {SECRET}", {"pin": SECRET}) == f"bad {HIDDEN}"
    assert MASKS.text("bad 17", {"pin": 17}) == "bad 17", "short values occur by chance"


def test_no_pattern_hides_nothing_and_other_patterns_replace_or_extend() -> None:
    assert Masks(()).hide({"password": "x"}) == {"password": "x"}
    assert Masks(("*passport*",)).hide({"password": "x"}) == {"password": "x"}
    also = Masks((*DEFAULT_MASKS, "*passport*"))
    assert also.hide({"password": "x", "Passport-No": 1}) == {
        "password": HIDDEN, "Passport-No": HIDDEN,
    }  # fmt: skip


@pytest.mark.parametrize("chars", [1, 40, 1_000, 1_000_000])
def test_the_beginning_of_args_holds_no_secret_of_their_end(chars: int) -> None:
    args = {"copy": f"it is {SECRET}", "pad": "x" * 5_000, "end": [{"password": SECRET}]}
    brief = json.dumps(MASKS.brief(args, chars))
    assert SECRET not in brief
    assert len(brief) < chars + 300 or chars > 5_000
    assert MASKS.brief(args, 1_000_000) == MASKS.hide(args)


@given(st.text(max_size=300), st.integers(1, 200))
def test_any_text_can_be_looked_through(text: str, times: int) -> None:
    MASKS.text(text * times)


@pytest.mark.parametrize("part", ["a", "a-", "://", "://a:", "a.", '"', "\\", "Bearer ", "a="])
def test_a_long_text_takes_linear_time(part: str) -> None:
    MASKS.text(part * 100_000)


@pytest.mark.one_server
def test_no_screen_and_no_file_holds_a_secret(stage: ConsoleStage, tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "args": {"X-Api-Key": SECRET, "headers": [["Authorization", f"Bearer {SECRET}"]]},
        "unique": True,
        "unique_key": f"mail:{SECRET}",
    }
    error = f"Denied: password={SECRET}\n\nTraceback:\n  post('https://a:{SECRET}@b/')"
    raw = stage.dead("a" * 24, 60, error, **fields)
    stage.redis.zadd(stage.keys.retry, {raw: stage.now + 60})
    stage.redis.zadd(stage.keys.scheduled, {raw: stage.now + 60})
    stage.redis.lpush(stage.keys.jobs("mail"), raw)
    pool = stage.pool("web-1", 4242, ["mail"], busy=1)
    stage.works(pool, 0, "mail", 10, f"token: {SECRET}")
    worker = stage.keys.worker(f"{4242:020x}{0:04x}")
    stage.redis.hset(worker, "args", json.dumps(fields["args"]))
    ms = stage.clock.epoch_ms
    said = f"Denied: password={SECRET}"
    stage.ran(Record("a" * 24, "mail", stage.now - 60, ms - 900, ms - 100, "dead", 4, said, "f"))

    async def play(pilot: P, app: App) -> None:
        for number in NUMBER.values():
            await stage.press(pilot, app, number)
            await stage.until(pilot, lambda: not app.workers._workers)
            assert SECRET not in shown(app)
            for key in ("enter", "enter", "d", "escape", "escape", "escape"):
                await pilot.press(key)
                await pilot.pause()
                await stage.until(pilot, lambda: not app.workers._workers)
                assert SECRET not in shown(app), (number, key)
        for number in "24567":
            await stage.press(pilot, app, number)
            await pilot.press("e")
            path = tmp_path / f"{number}.jsonl"
            app.screen.query_one("#prompt-input").value = str(path)  # type: ignore[attr-defined]
            await pilot.press("enter")
            await stage.until(pilot, path.exists)
        await stage.press(pilot, app, "3", "o")
        await pilot.press("e")
        app.screen.query_one("#prompt-input").value = str(tmp_path / "3.csv")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await stage.until(pilot, (tmp_path / "3.csv").exists)

    stage.drive(play, size=(200, 60))
    for path in tmp_path.iterdir():
        assert SECRET not in path.read_text("utf-8"), path
