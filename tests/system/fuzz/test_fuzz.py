"""Small runs of the fuzzers; `make fuzz` runs them at full size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import PrivateServer, ServerKind
from tests.system.fuzz.codec import examine
from tests.system.fuzz.live import NAMESPACE, bombard
from tests.system.fuzz.payloads import JUNK, SEEDS, Mutator
from workkit.core.entropy import Entropy
from workkit.doctor import Doctor
from workkit_tui.tabs import TABS

FIELDS = ("name", "id", "t", "args", "unique", "unique_key", "fails", "err", "failed_at", "x")
VALUES = st.one_of(
    st.sampled_from([junk for junk in JUNK if len(junk) < 100]),
    st.integers().map(lambda n: str(n).encode()),
    st.text().map(lambda text: b'"' + text.encode("utf-8", "replace") + b'"'),
)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_job_or_are_kept_as_they_are(raw: bytes) -> None:
    examine(raw)


@given(st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=12))
def test_any_fields_in_any_order_are_a_job_or_are_kept_as_they_are(
    fields: list[tuple[str, bytes]],
) -> None:
    examine(b"{" + b",".join(b'"%s":%s' % (key.encode(), value) for key, value in fields) + b"}")


@given(st.integers(0, 2**32))
def test_mangled_payloads_are_jobs_or_are_kept_as_they_are(seed: int) -> None:
    mutator = Mutator(Entropy(seed))
    for _ in range(20):
        examine(mutator.payload())


@pytest.mark.parametrize("raw", SEEDS)
def test_what_the_fuzzers_begin_with_are_jobs(raw: bytes) -> None:
    assert examine(raw)


@pytest.mark.slow
def test_pools_client_and_console_survive_what_is_thrown_at_them_and_the_doctor_mends_the_rest(
    private_server: PrivateServer, server_kind: ServerKind
) -> None:
    server = private_server(server_kind)
    outcome = bombard(server.url, 2_000, "a test")
    assert outcome.crashes == []
    assert outcome.stuck == 0
    assert outcome.missing == []
    assert outcome.ran > 0
    assert outcome.dead > 0
    assert {tab.screen.__name__ for tab in TABS} < outcome.screens.keys()

    doctor = Doctor(NAMESPACE, server.url, wait=lambda _seconds: None)
    for finding in doctor.examine():
        if finding.repairable:
            doctor.repair(finding)
    assert [finding for finding in doctor.examine() if finding.repairable] == []
