"""`b2jobs console` over HTTP: who may come in, what the pages say, what machines read."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from b2jobs.redis import QUEUES
from b2jobs.schedule import define
from b2jobs.schedules import Schedules
from support.console import READ_TOKEN, TOKEN, TOKENS, Browser, start
from support.installation import Installation
from support.redis_server import RedisServer

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [
    "/",
    "/jobs",
    "/jobs?view=failed",
    "/batches",
    "/schedules",
    "/workers",
    "/accounts",
    "/words",
]


@pytest.fixture(scope="module")
def queue(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[tuple[Installation, str]]:
    """A queue that nobody serves, and the address of its console: one for all tests here."""
    installation = Installation(tmp_path_factory.mktemp("console"), redis_url)
    yield installation, start(installation, **TOKENS)[1]
    installation.close()


@pytest.fixture
def unserved(queue: tuple[Installation, str]) -> Installation:
    return queue[0]


@pytest.fixture
def console(queue: tuple[Installation, str]) -> Browser:
    """Somebody who asks that console, not logged in yet."""
    return Browser(queue[1])


def test_nobody_sees_a_page_without_a_token(console: Browser) -> None:
    for place in [*PAGES, "/jobs/x", "/batches/x/report", "/nothing"]:
        answer = console.get(place)
        assert (answer.status, answer.headers["location"][:12]) == (303, "/login?next="), place
    assert console.get("/live").status == 403
    for place in ("/jobs/x/cancel", "/batches/x/retry", "/schedules/x/run", "/accounts/x/check"):
        assert console.post(place, {"csrf": "x"}).status == 403, place
    assert console.post("/login", {"token": "wrong"}).headers["location"] == "/login?said=wrong"
    assert not console.cookie
    assert console.log_in().get("/jobs").status == 200


@pytest.mark.parametrize(
    ("asked", "to"),
    [("/jobs?view=failed", "/jobs?view=failed"), ("//evil.example", "/"), ("/\\evil", "/")],
)
def test_a_log_in_leads_on_to_our_own_pages_only(console: Browser, asked: str, to: str) -> None:
    answer = console.post(f"/login?next={asked}", {"token": TOKEN})
    assert answer.headers["location"] == to
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_who_may_look_may_not_act(console: Browser, unserved: Installation) -> None:
    job = unserved.client.upload("data:,x", "b2://some-bucket/x")
    console.log_in(READ_TOKEN)
    page = console.get(f"/jobs/{job.id}").text
    assert "may look" in page
    assert "Cancel" not in page
    csrf = re.findall(r'name="csrf" value="(\w+)"', page)[0]
    assert console.post(f"/jobs/{job.id}/cancel", {"csrf": csrf}).status == 403
    assert job.state() == "queued"
    assert console.post("/logout", {"csrf": csrf}).status == 303
    assert console.get("/").status == 303


def test_a_form_must_be_of_this_session_and_this_site(
    console: Browser, unserved: Installation
) -> None:
    job = unserved.client.upload("data:,x", "b2://some-bucket/x")
    other = Browser(console.url).log_in()
    csrf = console.log_in().csrf()
    place = f"/jobs/{job.id}/cancel"
    assert console.post(place, {}).status == 403
    assert console.post(place, {"csrf": other.csrf()}).status == 403
    assert console.post(place, {"csrf": csrf}, Origin="http://evil.example").status == 403
    assert console.post(place, {"csrf": csrf}, Sec_Fetch_Site="cross-site").status == 403
    assert job.state() == "queued"
    own = console.url.removeprefix("http://")
    assert console.post(place, {"csrf": csrf}, Origin=f"http://{own}").status == 303
    assert job.state() == "cancelled"


def test_a_console_without_keys_says_what_it_cannot_do(
    make_installation: Callable[..., Installation],
) -> None:
    """Its jobs failed with `signature_missing`, its retries with `signature_used`."""
    installation = make_installation()
    keys = installation.require_signatures()
    job = installation.client.upload("data://.my/x", "b2://some-bucket/x")
    records = installation.client.records
    records.cancel(job.id)
    records.redis.zadd(f"{records.prefix}workers", {"w1-1@h|high": records.redis.time()[0]})
    about = json.dumps({"wants_signatures": True})
    records.redis.set(f"{records.prefix}worker:w1-1@h|high", about)
    Schedules(records).add(define("daily", {"job": "check", "cron": "0 3 * * *"}))

    for own, status, said in (("", 400, "no key"), (str(keys), 303, "")):
        browser = Browser(start(installation, **TOKENS, B2JOBS_KEYS_FILE=own)[1]).log_in()
        assert ("this console has no key" in browser.get("/").text) is (status == 400)
        assert ("neither cancel, pause, resume or retry" in browser.get("/workers").text) is (
            status == 400
        )
        csrf = browser.csrf()
        for place in (
            f"/jobs/{job.id}/cancel",
            f"/jobs/{job.id}/retry",
            "/schedules/daily/run",
            "/accounts/default/check",
        ):
            answer = browser.post(place, {"csrf": csrf})
            assert answer.status == status, (place, answer.text)
            assert said in answer.text
        assert browser.post("/schedules/daily/pause", {"csrf": csrf}).status == 303


def test_another_hosts_name_is_refused(console: Browser) -> None:
    for place in ("/login", "/metrics", "/healthz", "/static/console.js"):
        assert console.get(place, Host="evil.example:80").status == 421, place
    assert console.get("/login", Host="localhost:8585").status == 200


def test_every_answer_keeps_scripts_and_frames_out(console: Browser) -> None:
    console.log_in()
    for place in [*PAGES, "/login", "/nothing", "/jobs?view=nonsense", "/healthz", "/static/x.js"]:
        answer = console.get(place)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, place
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", answer.text), place


def test_names_are_shown_as_text_with_nothing_hidden(
    console: Browser, unserved: Installation
) -> None:
    name = "<script>alert(1)</script>\u202egnp.exe"
    job = unserved.client.upload("data:,x", f"b2://some-bucket/{name}")
    console.log_in()
    for place in ("/jobs", f"/jobs/{job.id}"):
        text = console.get(place).text
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egnp.exe" in text, place


def test_what_cannot_be_is_a_page_that_says_so(console: Browser) -> None:
    console.log_in()
    for place, status in (
        ("/jobs/none", 404),
        ("/batches/none", 404),
        ("/jobs?view=nonsense", 400),
        ("/jobs?after=x", 400),
        ("/nothing", 404),
        ("/static/../settings.py", 404),
    ):
        answer = console.get(place)
        assert (answer.status, "<h1>" in answer.text) == (status, True), place
    csrf = console.csrf()
    assert console.post("/schedules/none/run", {"csrf": csrf}).status == 400


def test_a_word_that_waits_is_shown_and_sent_again(
    console: Browser, unserved: Installation
) -> None:
    job = unserved.client.upload("data:,x", "b2://some-bucket/x", on_done="app.tasks.stored")
    job.cancel()
    console.log_in()
    page = console.get("/words").text
    assert "app.tasks.stored" in page
    (place,) = re.findall(r'action="(/words/\S+/resend)"', page)
    assert console.post(place, {"csrf": console.csrf()}).headers["location"] == "/words?said=sent"
    gone = console.post("/words/none/resend", {"csrf": console.csrf()})
    assert (gone.status, "There is no word" in gone.text) == (404, True)


def test_machines_read_the_fleets_numbers_without_a_log_in(
    console: Browser, unserved: Installation
) -> None:
    client = unserved.client
    client.upload("data:,x", "b2://some-bucket/x", priority="high")
    client.upload("data:,x", "b2://some-bucket/y").cancel()
    assert json.loads(console.get("/healthz").text) == {"status": "ok"}
    assert json.loads(console.get("/readyz").text) == {"status": "ok", "workers": 0}
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(console.get("/metrics").text)
        for sample in family.samples
    }
    assert found["b2jobs_up",] == 1
    assert found["b2jobs_jobs", "cancelled"] == client.records.counts()["cancelled"] > 0
    assert found["b2jobs_queued_jobs", "high"] == 1
    assert {name[1] for name in found if name[0] == "b2jobs_queued_jobs"} == set(QUEUES)
    assert found["b2jobs_workers", "high"] == 0
    assert all(name.startswith("b2jobs_") for name, *_ in found)


def test_the_dashboard_and_the_alerts_use_names_that_are_printed(console: Browser) -> None:
    printed = {
        sample.name
        for family in text_string_to_metric_families(console.get("/metrics").text)
        for sample in family.samples
    }
    text = console.get("/metrics").text
    printed |= set(re.findall(r"^# TYPE (b2jobs_\w+)", text, re.MULTILINE))
    printed |= {f"{name}_bucket" for name in printed if name.endswith("_seconds")}
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"][0]["rules"]
    asked += [rule["expr"] for rule in rules]
    assert len(asked) > 20
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)
    names = {name for expr in asked for name in re.findall(r"b2jobs_\w+", expr)}
    assert names - printed == set()


def test_a_setting_asks_machines_for_the_token_too(installation: Installation) -> None:
    more = {**TOKENS, "B2JOBS_CONSOLE_METRICS_LOGIN": "true"}
    browser = Browser(start(installation, **more)[1])
    for place in ("/metrics", "/healthz", "/readyz"):
        assert browser.get(place).status == 401
        assert browser.get(place, Authorization="Bearer nonsense").status == 401
        assert browser.get(place, Authorization=f"Bearer {READ_TOKEN}").status == 200


def test_without_redis_it_says_so_and_goes_on_when_that_is_back(
    make_redis: Callable[..., RedisServer], make_installation: Callable[..., Installation]
) -> None:
    redis = make_redis()
    installation = make_installation(redis.url, settings={"B2JOBS_REDIS_TIMEOUT_SECONDS": "1"})
    browser = Browser(start(installation, **TOKENS)[1]).log_in()
    assert browser.get("/").status == 200
    redis.kill()
    assert browser.get("/").status == 503
    assert browser.get("/healthz").status == 200
    assert browser.get("/readyz").status == 503
    assert "b2jobs_up 0.0" in browser.get("/metrics").text
    redis.start()
    assert browser.get("/").status == 200
    assert browser.get("/readyz").status == 200


def test_without_a_token_it_prints_an_address_that_logs_in(installation: Installation) -> None:
    process, url = start(installation)
    (token,) = re.findall(r"login\?token=(\S+)", process.output())
    browser = Browser(url)
    assert browser.get(f"/login?token={token}x").headers["location"] == "/login?said=wrong"
    assert browser.get(f"/login?token={token}").headers["location"] == "/"
    assert "may act" in browser.get("/").text
    process.signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_it_does_not_open_to_the_network_without_a_token(
    installation: Installation, tmp_path: Path
) -> None:
    process = installation.start(
        *(sys.executable, "-m", "b2jobs", "console", "--host", "0.0.0.0", "--port", "0"),
        name="open",
    )
    assert process.wait(30) == 2
    assert "[console_token_missing]" in process.output()
