"""Every script compiles on every kind of server, under the digest that we call it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.house.sources import SCRIPTS, LuaScript
from workkit.store.scripts import script

if TYPE_CHECKING:
    from redis import Redis


@pytest.mark.parametrize("lua", SCRIPTS, ids=lambda lua: lua.name)
def test_a_script_compiles_under_its_digest(redis_client: Redis, lua: LuaScript) -> None:
    loaded = script(lua.name)
    assert redis_client.script_load(loaded.source).encode() == loaded.sha
