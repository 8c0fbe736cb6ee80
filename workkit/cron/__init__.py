"""Cron specs: their grammar, and when they are due, exactly as the original has it.

The original reads its specs with robfig/cron 3.0.1, and a Go pool and a Python pool that share a
namespace must come to the same seconds, or each job runs twice. So grammar, refusals, the host's
zone as default and the behaviour around DST transitions are that library's; `schedule` says what
that means, `grammar` what may be written, `zone` how wall time becomes epoch time.

The search is our own. croniter takes a larger grammar, reads ``5-5`` as the whole field, and
answers differently in an hour that DST skips or repeats; the tests hold both to the same answers in
UTC, where there is no such hour.

One deviation is by design: ``@every D`` is due at the multiples of D since the Unix epoch. In the
original it counts from whenever a pool happened to look, so that no two pools agree.
"""

from __future__ import annotations

from workkit.cron.grammar import parse
from workkit.cron.schedule import Schedule
from workkit.cron.zone import host_is_utc, host_zone, host_zone_name

__all__ = ["Schedule", "host_is_utc", "host_zone", "host_zone_name", "parse"]
