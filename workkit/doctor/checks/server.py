"""Checks the server's settings that decide how safe jobs are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from workkit.doctor.findings import Case, Finding, Severity
from workkit.doctor.look import Examination
from workkit.engine.server_risks import CLOSES, EVICTS, closes_at_bytes, evicts

__all__ = ["check"]

_NEARLY_FULL: Final = 0.9
_OLDEST_MAJOR: Final = 7


def check(now: Examination) -> Iterator[Case]:
    """Check the server's own report."""
    info = now.info
    if not info:
        yield _case(
            "server-silent", "note", "this user may not read the server's settings",
            "allow the user the commands INFO, TIME and CONFIG GET",
        )  # fmt: skip
        return
    if policy := evicts(info):
        yield _case("eviction", "risk", *(EVICTS % policy).split("; "))
    elif info.get("maxmemory_policy", "noeviction") != "noeviction":
        yield _case(
            "eviction", "note",
            f"maxmemory-policy is {info['maxmemory_policy']}; with a maxmemory it evicts jobs",
            "set maxmemory-policy noeviction before you set a maxmemory",
        )  # fmt: skip
    if limit := closes_at_bytes(now.outputs):
        yield _case("output-limit", "risk", *(CLOSES % limit).split("; "))
    yield from _on_disk(now)
    if info.get("role") == "slave":
        yield _case(
            "replica", "broken", "the server is a read-only replica",
            f"connect to its master, {info.get('master_host')}:{info.get('master_port')}",
        )  # fmt: skip
    used, limit = (int(info.get(field, 0)) for field in ("used_memory", "maxmemory"))
    if limit and used > limit * _NEARLY_FULL:
        yield _case(
            "memory", "risk", f"{used:,} of {limit:,} bytes of memory are used; at the limit new "
            "jobs are refused", "raise maxmemory, or find out what uses the memory",
        )  # fmt: skip
    version = info.get("valkey_version") or info.get("redis_version", "")
    if version and int(version.partition(".")[0]) < _OLDEST_MAJOR:
        yield _case(
            "version",
            "risk",
            f"the server is version {version}",
            "workkit needs Redis 7.0 or newer",
        )


def _on_disk(now: Examination) -> Iterator[Case]:
    info = now.info
    if info.get("aof_enabled") == "1":
        if info.get("aof_last_write_status", "ok") != "ok":
            yield _case(
                "disk", "broken", "the server could not write its append-only file",
                "check its disk and its log",
            )  # fmt: skip
    elif now.save == "":
        yield _case(
            "persistence", "risk",
            "the server keeps nothing on disk; when it ends, all jobs are lost",
            "set appendonly yes; docs/reliability.md says what each setting can lose",
        )  # fmt: skip
    else:
        yield _case(
            "persistence", "note",
            "the server writes only snapshots; a crash loses all changes since the last one",
            "set appendonly yes",
        )  # fmt: skip
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield _case(
            "disk", "broken", "the server could not write its last snapshot",
            "check its disk and its log",
        )  # fmt: skip


def _case(check_name: str, severity: Severity, says: str, remedy: str) -> Case:
    return Case(Finding(check_name, severity, "server", says, remedy))
