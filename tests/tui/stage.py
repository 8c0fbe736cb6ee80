"""A console on a namespace that was laid out by hand, on a clock that stands still."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot

from tests.client.stage import raw_job
from tests.support.stage import Stage
from workkit import Client
from workkit.core.history import Record, pack
from workkit.store.round_trip import Step
from workkit_tui.app import Console
from workkit_tui.settings import Settings

__all__ = ["LABEL", "ConsoleStage", "shown"]

LABEL = "work at localhost:6379/0"
TRACE = (
    "\n\nTraceback (innermost last):\n"
    '  File "/srv/shop/mail.py", line 41, in send\n'
    "    smtp.sendmail(sender, recipients, text)"
)
CRON = "0 */10 * * * *"


def shown(app: Console) -> str:
    """Return what is on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


class LabelledClient(Client):
    """A client whose server is called the same on every machine."""

    @property
    def label(self) -> str:
        return LABEL


class ConsoleStage(Stage):
    """One namespace, and consoles on it."""

    seed = "console"

    def make_client(self) -> Client:
        client = LabelledClient(self.namespace, self.url, clock=self.clock, actor="ann@web-1")

        def stopped() -> Step[int]:
            yield from ()
            return self.clock.epoch_ms

        client.actions.logic.log._now_ms = stopped  # type: ignore[method-assign]
        return client

    @property
    def now(self) -> int:
        return self.clock.now_s

    # Driving.

    def drive(
        self,
        play: Callable[[Pilot[None], Console], Awaitable[None]],
        *,
        size: tuple[int, int] = (120, 30),
        **settings: Any,
    ) -> None:
        """Run a console, and a play on it."""
        client = self.client

        def pause(name: str, wanted: bool) -> None:
            if wanted:
                client.pause(name)
            else:
                client.unpause(name)

        async def run() -> None:
            app = Console(
                client,
                actions=client.actions,
                pause=pause,
                settings=Settings(by="ann@web-1", **settings),
                clock=self.clock,
            )
            async with app.run_test(size=size, notifications=True) as pilot:
                await self.until(pilot, lambda: app.looks > 0)
                await play(pilot, app)

        asyncio.run(run())

    @staticmethod
    async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
        """Let the console work until something holds."""
        async with asyncio.timeout(20):
            while not condition():
                await pilot.pause(0.01)
        await pilot.pause()

    async def look(self, pilot: Pilot[None], app: Console) -> None:
        """Let the console look once more, for the screen that is seen now."""
        await self.until(pilot, lambda: not app._looking)
        looks = app.looks
        app.action_refresh_now()
        await self.until(pilot, lambda: app.looks > looks and not app._looking)

    async def press(self, pilot: Pilot[None], app: Console, *keys: str) -> None:
        """Press keys, and let the console look."""
        await pilot.press(*keys)
        await self.look(pilot, app)

    # Laying out.

    def pool(self, host: str, pid: int, names: list[str], *, beat_s: int = 1, **totals: int) -> str:
        """Register a pool as it would itself."""
        pool_id = f"{pid:024x}"
        workers = [f"{pid:020x}{n:04x}" for n in range(totals.pop("concurrency", 4))]
        fields = {
            "heartbeat_at": self.now - beat_s,
            "started_at": self.now - 7_500,
            "job_names": ",".join(names),
            "concurrency": len(workers),
            "worker_ids": ",".join(workers),
            "host": host,
            "pid": pid,
            "workkit": "0.1.0",
            "busy": 0,
            "done": 0,
        }
        self.redis.sadd(self.keys.worker_pools, pool_id)
        self.redis.hset(self.keys.pool(pool_id), mapping=fields | totals)
        return pool_id

    def works(self, pool_id: str, at: int, name: str, for_s: int, checkin: str = "") -> None:
        """Let a worker run something."""
        worker = self.redis.hget(self.keys.pool(pool_id), "worker_ids").decode().split(",")[at]
        row = {
            "job_name": name,
            "job_id": f"{at:024x}",
            "started_at": self.now - for_s,
            "args": json.dumps({"n": at, "api_token": "sk-1"}),
        }
        if checkin:
            row |= {"checkin": checkin, "checkin_at": self.now - 2}
        self.redis.hset(self.keys.worker(worker), mapping=row)

    def ran(self, *records: Record) -> None:
        """Write history."""
        fields: dict[Any, Any] = {
            "v": "1", "pool": "p", "host": "web-1", "n": len(records), "r": pack(records),
        }  # fmt: skip
        self.redis.xadd(self.keys.history, fields, id=f"{self.clock.epoch_ms}-{len(records)}")
        self.redis.set(self.keys.history_head, f"{self.clock.epoch_ms} {len(records)}")

    def dead(
        self, job_id: str, ago_s: int, error: str = "", name: str = "mail", **more: Any
    ) -> bytes:
        """Lay a dead job."""
        raw = raw_job(
            job_id, name, t=self.now - ago_s - 90, fails=4, err=error or f"Timeout: 30 s{TRACE}",
            failed_at=self.now - ago_s, **more,
        )  # fmt: skip
        self.redis.zadd(self.keys.dead, {raw: self.now - ago_s})
        self.redis.sadd(self.keys.known_jobs, name)
        return raw

    def busy(self) -> None:
        """A namespace in which all is at work and some things fail."""
        names = ["mail", "charge", "export", "report"]
        first = self.pool("web-1", 4242, names, busy=3, done=120_034, retried=31, died=9)
        self.pool("web-2", 977, ["mail", "charge"], beat_s=3, busy=0, done=98_211)
        self.works(first, 0, "export", 3_725, "page 12 of 40")
        self.works(first, 1, "mail", 2)
        self.enqueuer.enqueue_many([("mail", {"to": f"user{n}@example.com"}) for n in range(12)])
        self.enqueuer.enqueue_many([("export", {"month": "2027-01", "n": n}) for n in range(3)])
        self.redis.set(f"{self.namespace}:jobs:export:max_concurrency", 2)
        self.redis.set(f"{self.namespace}:jobs:export:lock", 2)
        self.client.pause("charge")
        self.enqueuer.enqueue("charge", {"order": 7, "api_token": "sk-secret"})
        for n in range(6):
            raw = raw_job(
                f"{n:024x}", "charge", t=self.now - 60, fails=n % 3 + 1, failed_at=self.now - 30,
                err=f"CardDeclined: card {n} was declined", args={"order": n},
            )  # fmt: skip
            self.redis.zadd(self.keys.retry, {raw: self.now + 15 * (n + 1)})
        for n in range(40):
            self.dead(f"{n + 100:024x}", 60 * n, args={"to": f"user{n}@example.com", "n": n})
        self.dead(f"{200:024x}", 7_000, "ValueError: no address", "mail", args=None)
        for n in range(8):
            self.enqueuer.enqueue_in("report", 600 * (n + 1), {"day": n})
        field = json.dumps(["report", CRON])
        self.redis.hset(self.keys.periodic_seen, field, self.now - 12)
        self.redis.hset(self.keys.periodic, field, self.now + 240)
        last = self.now - self.now % 600
        self.redis.set(self.keys.slot(f"periodic:report:{CRON}:{last}"), "done")
        ms = self.clock.epoch_ms
        self.ran(
            Record("a" * 24, "mail", self.now - 5, ms - 900, ms - 400, "done", enqueued_millis=0),
            Record(
                f"{100:024x}", "mail", self.now - 90, ms - 2_000, ms - 60, "dead", 4,
                "Timeout: 30 s", "f" * 12, "w", "", enqueued_millis=0,
            ),
        )  # fmt: skip
        made = self.client.actions.plan_for("delete", *self._first_scheduled())
        self.client.actions.apply(made, by="bob@web-2")

    def _first_scheduled(self) -> Any:
        from workkit import Place

        place = Place("scheduled")
        return place, self.client.jobs(place, 0, 1).jobs

    def broken(self) -> None:
        """A namespace in which things are wrong: nobody works, keys of wrong types, junk."""
        self.pool("web-1", 4242, ["mail"], beat_s=700, busy=2, abandoned=1)
        self.enqueuer.enqueue_many([("mail", {"n": n}) for n in range(3)])
        self.redis.sadd(self.keys.known_jobs, "odd", "\x1b[31mred")
        self.redis.set(self.keys.jobs("odd"), "no list")
        for key in (self.keys.dead, self.keys.retry, self.keys.scheduled):
            self.redis.zadd(key, {b"{junk \xff": self.now - 400, b"null": self.now - 500})
        self.redis.hset(self.keys.periodic, "junk", 5)
        self.dead(f"{7:024x}", 30, "\x1b[2JCleared: \u202ethe screen")
        self.clock.advance(900)
