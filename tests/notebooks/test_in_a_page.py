"""The views in JupyterLab, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.conftest import Morgue
from tests.notebooks.lab import Lab, need_chromium

pytestmark = [pytest.mark.one_server, pytest.mark.slow, pytest.mark.timeout(900)]


#: Prints how many live views are refreshed. It must not wait for that: while a cell runs, the
#: kernel receives nothing from the page.
COUNT = """
import threading
print("live views:", sum(t.name == "workkit-live" for t in threading.enumerate()))
"""


@pytest.fixture(autouse=True)
def chromium() -> None:
    need_chromium()


def test_jobs_are_filtered_marked_confirmed_and_run(
    morgue: Morgue, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with Lab.started(tmp_path) as lab:
        lab.open(
            "from workkit import Client\nfrom workkit_notebook import DeadJobs, Live\n"
            f"client = Client({morgue.namespace!r}, {morgue.url!r})",
            "view = DeadJobs(client, write=True)\nview",
            "live = Live(client, every_s=0.2)\nlive",
            "print('the kernel is', 'free')",
            COUNT,
        )
        page = lab.page
        view = page.locator(".workkit-dead-jobs")
        view.wait_for()
        page.get_by_text("live views:").last.wait_for()
        view.get_by_text("13 match; mark one to see it in full", exact=True).wait_for()
        lab.screenshot("dead-jobs")

        box = view.locator("input[type=text]").first
        box.fill("error:answer")
        box.press("Enter")
        view.get_by_text("3 match; mark one to see it in full", exact=True).wait_for()
        options = view.locator(".workkit-jobs option")
        options.nth(0).click()
        options.nth(1).click(modifiers=["Control"])
        view.get_by_role("button", name="Retry 2 ...").click()
        view.get_by_text("Retry 2 dead jobs: 2 mail").wait_for()
        lab.screenshot("preview")
        assert len(morgue.dead()) == 13

        view.get_by_role("button", name="Retry 2 jobs").click()
        view.get_by_text("retried 2 jobs").wait_for()
        assert wait_until(lambda: len(morgue.ran) == 2, timeout_s=60)
        assert len(morgue.dead()) == 11
        view.get_by_text("1 match; mark one to see it in full", exact=True).wait_for()
        page.locator(".workkit-live").get_by_text("11 dead").wait_for()
        lab.screenshot("retried")

        # A live view ends when its cell is run again, and the new one goes on.
        lab.run_again("live = Live(client, every_s=0.2)")

        def one_is_left() -> bool:
            lab.run_again('print("live views:"')
            page.wait_for_timeout(1_000)
            return page.get_by_text("live views: 1", exact=True).count() == 1

        assert wait_until(one_is_left, timeout_s=60)


def test_a_span_of_time_is_chosen_by_dragging(morgue: Morgue, tmp_path: Path) -> None:
    redis: Any = __import__("redis").Redis.from_url(morgue.url)
    dead = morgue.client.dead_jobs().jobs
    first = min(each.died_at for each in dead)
    for each in dead:  # ten minutes apart
        at = first + 600 * each.job.arg_int("n")
        redis.zadd(f"{morgue.namespace}:dead", {each.job.raw: at})
    with Lab.started(tmp_path) as lab:
        lab.open(
            "from workkit import Client\nfrom workkit_notebook import DeadJobs\n"
            f"client = Client({morgue.namespace!r}, {morgue.url!r})",
            "view = DeadJobs(client)\nview",
        )
        page = lab.page
        brush = page.locator(".workkit-brush")
        brush.wait_for()
        view = page.locator(".workkit-dead-jobs")
        view.get_by_text("13 match; mark one to see it in full", exact=True).wait_for()
        box = brush.bounding_box()
        assert box is not None
        middle = box["y"] + 30
        page.mouse.move(box["x"] + 5, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, middle, steps=8)
        lab.screenshot("brush-dragging")
        page.mouse.up()
        jobs = sum(each.job.arg_int("n") <= 16 for each in dead)
        view.get_by_text(f"{jobs} match; mark one to see it in full", exact=True).wait_for()
        lab.screenshot("brush")
        brush.press("Escape")
        view.get_by_text("13 match; mark one to see it in full", exact=True).wait_for()
