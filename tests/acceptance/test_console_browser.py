"""The console in a real browser, with a worker running: every page opened, every button pressed.

Chromium is the machine's own (`apt-get install chromium`); without one these tests are skipped,
but not in CI.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from b2jobs import listing
from b2jobs.client import Client
from b2jobs.errors import JobCancelled, JobFailed
from b2jobs.schedule import define
from b2jobs.schedules import Schedules
from support.console import READ_TOKEN, TOKEN, TOKENS, start
from support.emulator import LocalB2
from support.installation import Installation
from support.waiting import eventually

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="there is no Chromium here: apt-get install chromium",
    ),
]
PATIENCE_MS = 60_000


class Shown:
    """An installation with a worker, its console, and what is there to be seen."""

    def __init__(self, installation: Installation, bucket: str) -> None:
        self.installation = installation
        self.bucket = bucket
        self.url = start(installation, **TOKENS)[1]

    @property
    def client(self) -> Client:
        return self.installation.client


@pytest.fixture(scope="module")
def shown(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, local_b2: LocalB2
) -> Iterator[Shown]:
    installation = Installation(
        tmp_path_factory.mktemp("shown"), redis_url, account=local_b2.account
    )
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_SLOTS="8", B2JOBS_QUEUES="normal,low")
    bucket = "console-browser"
    installation.client.bucket("create", bucket).wait(120)
    yield Shown(installation, bucket)
    installation.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        assert CHROMIUM, "CI has to have Chromium: .ci/run installs it"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, shown: Shown) -> Iterator[Page]:
    """A new window, logged in; whatever its console says of errors fails the test."""
    with chromium.new_context(base_url=shown.url) as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        page.on("dialog", lambda dialog: dialog.accept())
        log_in(page, TOKEN)
        yield page
        assert complaints == []


def log_in(page: Page, token: str) -> None:
    page.goto("/login")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=PATIENCE_MS)


def shows(page: Page, text: str) -> None:
    """Wait until *text* is on the page, without anybody loading it again."""
    expect(page.locator("main")).to_contain_text(text, timeout=PATIENCE_MS)


def test_a_job_is_retried_and_cancelled_while_one_looks(page: Page, shown: Shown) -> None:
    missing = shown.client.upload("data://.my/late.png", f"b2://{shown.bucket}/late.png")
    eventually(missing.ended)
    page.goto(f"/jobs/{missing.id}")
    shows(page, "data://.my/late.png does not exist")
    (shown.installation.data / "late.png").write_bytes(b"PNG")
    page.get_by_role("button", name="Try again").click()
    shows(page, "It is queued again.")
    shows(page, "verified")  # by itself: the page lives
    assert missing.state() == "succeeded"

    waiting = shown.client.upload("data:,x", f"b2://{shown.bucket}/x", priority="high")
    page.goto(f"/jobs/{waiting.id}")
    shows(page, "no living worker serves its priority")
    page.get_by_role("button", name="Cancel").click()
    shows(page, "It is asked to stop.")
    assert waiting.state() == "cancelled"


def test_jobs_are_found_by_state_and_by_filter(page: Page, shown: Shown) -> None:
    job = shown.client.upload("data://.my/\u202enot-there", f"b2://{shown.bucket}/<b>bold</b>")
    eventually(job.ended)
    page.goto("/")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="failed").click()
    page.get_by_label("Part of a source").fill("<b>bold")
    page.get_by_label("Kind").select_option("upload")
    page.get_by_role("button", name="Filter").click()
    shows(page, "found 1")
    shows(page, f"b2://{shown.bucket}/<b>bold</b>")
    shows(page, "\\u202enot-there")
    page.locator("#list tbody a").click()
    shows(page, "source_missing")


def test_what_failed_is_grouped_by_code_and_tried_again(page: Page, shown: Shown) -> None:
    """Where it went alone finds them too."""
    place = f"b2://{shown.bucket}/grouped"
    lost = [
        shown.client.upload(f"data://.my/grouped/{n}.txt", f"{place}/{n}.txt", on_done="app.told")
        for n in range(3)
    ]
    for job in lost:
        eventually(job.ended)
    page.goto("/jobs?view=failed")
    page.get_by_label("Part of a destination").fill(place)
    page.get_by_role("button", name="Filter").click()
    shows(page, "found 3")
    group = page.locator("#groups tr", has_text="source_missing")
    shows(page, "who asked")
    (shown.installation.data / "grouped").mkdir()
    for n in range(3):
        (shown.installation.data / "grouped" / f"{n}.txt").write_text("x")
    group.get_by_role("button", name="Retry these").click()
    shows(page, "again")
    for job in lost:
        assert eventually(job.ended).state == "succeeded"
    page.goto(f"/jobs/{lost[0].id}")
    shows(page, "Its words")
    shows(page, "app.told")


def test_a_batch_is_paused_resumed_and_what_failed_retried(page: Page, shown: Shown) -> None:
    folder = shown.installation.data / "batch"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    manifest = shown.installation.data / "list.csv"
    rows = [f"data://.my/batch/{n}.txt,b2://{shown.bucket}/batch/{n}.txt" for n in "ab"]
    manifest.write_text("\n".join(["source,destination", *rows]) + "\n")
    batch = shown.client.batch("data://.my/list.csv")
    page.goto("/batches")
    page.locator(f"a[href='/batches/{batch.id}']").click()
    shows(page, "source_missing")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download the report").click()
    report = downloading.value.path().read_text().splitlines()
    assert len(report) == 3
    eventually(batch.ended)
    (folder / "b.txt").write_text("b")
    page.reload()
    page.get_by_role("button", name="Retry these").click()
    shows(page, "It is queued again.")
    expect(page.locator("main .lead")).to_contain_text("succeeded", timeout=PATIENCE_MS)
    assert batch.status().outcomes == {"transferred": 2}


def test_a_dry_run_shows_its_plan(page: Page, shown: Shown) -> None:
    folder = shown.installation.data / "dry"
    folder.mkdir()
    for name in ("a", "b\nc"):
        (folder / name).write_text("x")
    dry = shown.client.sync("data://.my/dry/", f"b2://{shown.bucket}/dry/", dry_run=True)
    eventually(dry.ended)
    page.goto(f"/batches/{dry.id}")
    shows(page, "nothing was moved")
    planned = page.locator("main pre").first.inner_text().splitlines()
    assert len(planned) == 2, planned


def test_a_batch_under_way_is_held_and_let_go(page: Page, shown: Shown) -> None:
    def slowly() -> Iterator[dict[str, str]]:
        yield {"source": "data:,1", "destination": f"b2://{shown.bucket}/slow/1"}
        page.goto("/batches")
        page.locator("tbody a").first.click()
        page.get_by_role("button", name="Pause").click()
        shows(page, "paused")
        page.get_by_role("button", name="Resume").click()
        shows(page, "It goes on.")
        page.get_by_role("button", name="Cancel").click()
        shows(page, "It is asked to stop.")

    with suppress(JobFailed, JobCancelled):  # it may end before its last item is handed over
        shown.client.batch_items(slowly())
    batch = next(iter(listing.page(shown.client.records, "batches").records))
    ended = eventually(shown.client.batch_job(batch.id).ended)
    assert ended.state == "cancelled"


def test_a_schedule_runs_now_and_an_account_is_asked(page: Page, shown: Shown) -> None:
    daily = define("daily", {"job": "check", "cron": "0 3 * * *"})
    Schedules(shown.client.records).add(daily)
    page.goto("/schedules")
    page.get_by_role("button", name="Run now daily").click()
    shows(page, "A run has been queued.")
    page.get_by_role("link", name="succeeded").first.click()
    shows(page, "succeeded")
    page.goto("/schedules")
    page.get_by_role("button", name="Pause daily").click()
    shows(page, "It begins no run by itself")
    assert Schedules(shown.client.records).get("daily").status.paused
    page.get_by_role("button", name="Resume daily").click()
    shows(page, "It goes on.")
    assert not Schedules(shown.client.records).get("daily").status.paused
    page.goto("/accounts")
    page.get_by_role("button", name="Ask what its key may of default").click()
    shows(page, "writeFiles")
    shows(page, "never")
    page.goto("/workers")
    shows(page, "alive")


def test_a_reached_cap_and_a_used_up_budget_are_seen(page: Page, shown: Shown) -> None:
    redis, records = shown.installation.redis, shown.client.records
    shown.client.upload("data:,x", f"b2://{shown.bucket}/before").wait(60)
    cap = f"{records.prefix}governor:default:pause"
    day = int(datetime.now(UTC).timestamp() // 86_400)
    budget = f"{records.prefix}budget:default:{day}"
    redis.set(cap, json.dumps({"reason": "cap", "code": "cap_exceeded"}), ex=3 * 3600)
    redis.hset(budget, mapping={"c": 40, "most": json.dumps({"c": 40, "nano": 2_000_000_000})})
    try:
        waits = shown.client.upload("data:,x", f"b2://{shown.bucket}/capped")
        for place in ("/", "/accounts"):
            page.goto(place)
            shows(page, "cap_exceeded")
            shows(page, "All workers leave the account alone for 2 h")
            shows(page, "40 of 40 calls of class C, $0.00 of $2.00")
        page.goto("/")
        shows(page, "a cap of the account is reached")
        waits.cancel()
        eventually(waits.ended)
        redis.hset(budget, "c", 39)
        page.goto("/accounts")
        shows(page, "Of its budget of today (UTC) it has used 39 of 40")
    finally:
        redis.delete(cap, budget)


def test_the_charts_go_back_as_far_as_one_wants(page: Page, shown: Shown) -> None:
    job = shown.client.upload("data:,x", f"b2://{shown.bucket}/charted")
    eventually(job.ended)
    page.goto("/")
    for name, title in (("24 hours", "in the last 24 hours"), ("31 days", "in the last 31 days")):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute(
            "aria-current", "page"
        )
        chart = page.locator("figure", has_text=f"Jobs that ended, {title}")
        expect(chart.locator("rect.succeeded").first).to_be_attached(timeout=PATIENCE_MS)


def test_who_may_look_sees_no_button(page: Page, shown: Shown) -> None:
    page.get_by_role("button", name="Log out").click()
    log_in(page, READ_TOKEN)
    for place in ("/schedules", "/accounts", "/batches", "/jobs?view=ended"):
        page.goto(place)
        names = page.get_by_role("button").all_inner_texts()
        assert set(names) <= {"Live", "Log out", "Filter"}, place


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_page_can_be_read_by_everybody(
    page: Page, shown: Shown, width: int, scheme: str
) -> None:
    failed = shown.client.upload("data://.my/none", f"b2://{shown.bucket}/none")
    eventually(failed.ended)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    axe = Axe()
    places = [
        "/",
        "/?range=day",
        "/jobs?view=failed",
        "/jobs?view=ended",
        f"/jobs/{failed.id}",
        "/batches",
        "/schedules",
        "/workers",
    ]
    for place in [*places, "/accounts", "/words"]:
        page.goto(place)
        found = axe.run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert serious == [], place
        wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wider <= 0, f"{place} is wider than the screen"
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
