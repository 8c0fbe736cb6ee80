"""Bytes and answers held to what the original wrote and gave when it was run."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import pytest

from workkit.core import gojson
from workkit.core import job as wire
from workkit.core.backoff import default_backoff
from workkit.core.entropy import Entropy
from workkit.cron import parse
from workkit.cron.slots import PeriodicEntry
from workkit.store.keys import Keys

GOLDEN: Final = Path(__file__).parent / "golden"
VECTORS: Final[dict[str, list[dict[str, Any]]]] = json.loads((GOLDEN / "vectors.json").read_text())

VECTOR_ID: Final = "0123456789abcdef01234567"
VECTOR_TIME: Final = 1479946920
VECTOR_ERROR: Final = 'bad <thing> & "worse"\n\u2028 é'
#: The original reads every number as a float64 and fails above 2**53; workkit reads integers.
DEVIATION: Final = ("9007199254740993", "int64")
DRAWS: Final = 2_000


# Unique keys and jobs


@pytest.mark.parametrize("vector", VECTORS["unique"], ids=lambda v: v["key"])
def test_a_unique_key_has_the_bytes_that_the_original_gave_it(vector: dict[str, Any]) -> None:
    args_json = gojson.encode_args(json.loads(vector["args_json"]))
    key = Keys(vector["namespace"]).unique(vector["name"], args_json)
    assert key == vector["key"]


@pytest.mark.parametrize("vector", VECTORS["unique"], ids=lambda v: v["key"])
def test_a_unique_job_has_the_bytes_that_the_original_gave_it(vector: dict[str, Any]) -> None:
    args_json = gojson.encode_args(json.loads(vector["args_json"]))
    raw = wire.encode(vector["name"], VECTOR_ID, VECTOR_TIME, args_json, unique_key=vector["key"])
    assert raw.decode() == vector["job_json"]


@pytest.mark.parametrize("vector", VECTORS["unique"], ids=lambda v: v["key"])
def test_the_key_of_a_unique_job_of_the_original_is_found_again(vector: dict[str, Any]) -> None:
    keys = Keys(vector["namespace"])
    job = wire.decode(vector["job_json"].encode())
    assert keys.unique_of(job) == vector["key"]
    old = wire.decode(wire.splice(job.raw, unique_key=None))
    assert keys.unique_of(old) == vector["key"]


@pytest.mark.parametrize("vector", VECTORS["jobs"], ids=lambda v: v["args_json"])
def test_a_fresh_job_has_the_bytes_that_the_original_gave_it(vector: dict[str, Any]) -> None:
    args_json = gojson.encode_args(json.loads(vector["args_json"]))
    raw = wire.encode(vector["name"], VECTOR_ID, VECTOR_TIME, args_json)
    assert raw.decode() == vector["fresh"]


@pytest.mark.parametrize("vector", VECTORS["jobs"], ids=lambda v: v["args_json"])
def test_a_failed_job_has_the_bytes_that_the_original_gave_it(vector: dict[str, Any]) -> None:
    raw = wire.failed(vector["fresh"].encode(), 1, VECTOR_ERROR, VECTOR_TIME)
    assert raw.decode() == vector["failed_once"]


@pytest.mark.parametrize("vector", VECTORS["jobs"], ids=lambda v: v["args_json"])
def test_a_failed_job_of_the_original_is_read(vector: dict[str, Any]) -> None:
    job = wire.decode(vector["failed_once"].encode())
    assert (job.name, job.id, job.enqueued_at) == (vector["name"], VECTOR_ID, VECTOR_TIME)
    assert job.args == json.loads(vector["args_json"])
    assert (job.fails, job.last_err, job.failed_at) == (1, VECTOR_ERROR, VECTOR_TIME)
    assert not job.unique


# Arguments


def read_arg(kind: str, value_json: str) -> tuple[Any, str | None]:
    args = "{}" if value_json == "MISSING" else f'{{"k":{value_json}}}'
    job = wire.decode(wire.encode("n", VECTOR_ID, VECTOR_TIME, args.encode()))
    read = {
        "string": job.arg_str,
        "int64": job.arg_int,
        "float64": job.arg_float,
        "bool": job.arg_bool,
    }[kind]
    return read("k"), job.arg_error


@pytest.mark.parametrize(
    "vector", VECTORS["arg_accessors"], ids=lambda v: f"{v['value_json']} as {v['kind']}"
)
def test_an_accessor_takes_and_refuses_what_the_original_did(vector: dict[str, Any]) -> None:
    value, error = read_arg(vector["kind"], vector["value_json"])
    if (vector["value_json"], vector["kind"]) == DEVIATION:
        assert "error" in vector
        assert (value, error) == (9007199254740993, None)
    elif "error" in vector:
        assert error is not None
        assert value == {"string": "", "int64": 0, "float64": 0.0, "bool": False}[vector["kind"]]
    else:
        assert error is None
        assert value == json.loads(vector["result_json"])
        assert type(value).__name__ == {"string": "str"}.get(
            vector["kind"], vector["kind"].removesuffix("64")
        )


def test_the_one_deviation_from_the_accessors_of_the_original_is_among_the_vectors() -> None:
    refused = {(v["value_json"], v["kind"]) for v in VECTORS["arg_accessors"] if "error" in v}
    assert DEVIATION in refused


# Cron and retries


@pytest.mark.parametrize("vector", VECTORS["periodic"], ids=lambda v: v["spec"])
def test_a_cron_job_has_the_bytes_that_the_original_gave_it(vector: dict[str, Any]) -> None:
    schedule = parse(vector["spec"], default_zone=UTC)
    entry = PeriodicEntry(vector["spec"], vector["name"], schedule, b"null", 0)
    slot_id, due_at_s, raw = entry.slot(vector["epoch"])
    assert (slot_id, due_at_s) == (wire.decode(raw).id, vector["epoch"])
    assert raw.decode() == vector["raw"]


@pytest.mark.parametrize("vector", VECTORS["backoff"], ids=lambda v: f"{v['fails']} fails")
def test_a_retry_waits_as_long_as_the_original_was_seen_to_wait(vector: dict[str, int]) -> None:
    entropy = Entropy(vector["fails"])
    delays = {default_backoff(vector["fails"], entropy) for _ in range(DRAWS)}
    assert (min(delays), max(delays)) == (vector["min_seen"], vector["max_seen"])
    assert len(delays) == 30
    assert {delay - min(delays) for delay in delays} == {
        step * (vector["fails"] + 1) for step in range(30)
    }
