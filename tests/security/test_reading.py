"""What somebody has written into Redis to be read: it moves no terminal, forges no line, and
keeps nothing else from being read."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from b2jobs.cli.main import _run
from b2jobs.redis import QUEUES
from support.console import READ_TOKEN, TOKENS, Browser, start
from support.installation import Installation

HOSTILE = "a\x1b[2Jb\nError: forged\u202egnp\x9b31m\x07\u2028\x7f"
BROKEN = ("not JSON", "[1]", "1e999", '{"done": "x", "code": 3, "runs": 7}', b"\xff\xfe", "NaN")
SHELVES = ("running", "waiting", "succeeded", "failed", "cancelled", "batches")
FIELDS = (
    *("id", "kind", "priority", "key", "request", "retry", "created", "attempts", "lost", "worker"),
    *("started", "ended", "progress", "result", "failure", "until", "reason", "staged_bytes"),
)
COUNTS = ("planned", "packs", "samples", "began", "dollars", "n:failed", "code:x", "total_items")


class Planted:
    """Writes the same text wherever a command or a page reads one."""

    def __init__(self, installation: Installation) -> None:
        self.redis = installation.redis
        self.prefix = f"{installation.key_prefix}b2jobs:"

    def everywhere(self, text: str | bytes) -> None:
        name = f"of {text!r}" if text in BROKEN else str(text)
        quoted = json.dumps({"message": name, "source": name, "code": name, "reason": name})
        sound = {"id": name, "kind": "batch", "priority": "normal", "retry": "0", "request": quoted}
        sound |= {"attempts": "1", "lost": "0", "created": "1", "reason": name, "worker": name}
        sound |= {"failure": json.dumps({"code": name, "message": name, "hint": name, "act": "us"})}
        for number, shelf in enumerate((*SHELVES, *(f"queued:{each}" for each in QUEUES))):
            for broken in (None, *(FIELDS if shelf in ("waiting", "failed", "batches") else ())):
                job = f"{name} {number} {broken}"
                state = shelf.partition(":")[0]
                record = {**sound, "id": job, "state": "running" if state == "batches" else state}
                # Where the text is no name it stands as one field after the other.
                self._hash(f"job:{job}", record | ({broken: text} if broken else {}))
                self.redis.zadd(f"{self.prefix}{shelf}", {job: time.time() - 9})
                self._hash(f"batch:{job}", dict.fromkeys(COUNTS, text))
        now = time.time()
        said = (name, f"job|{name}", f"wait|upload|{name}", f"bytes|{name}|up", f"again|{name}")
        counted = dict.fromkeys(said, text) | dict.fromkeys((f"{each}|{name}" for each in said), 1)
        for minute in (f"{int(now // 60)}", f"day:{int(now // 86400)}", "total"):
            self._hash(f"numbers:{minute}", {**counted, "folded": text})
        self._hash("schedules", {name: text})
        self._hash("schedule-states", {name: text})
        told = {"id": name, "job": name, "kind": name, "state": name, "error": name, "to": text}
        for shelf in ("undelivered", "lane:x", "outbox"):
            self.redis.zadd(f"{self.prefix}{shelf}", {name: 1.0, "x": 2.0})
        self._hash(f"word:{name}", {**told, "tries": text, "ended": text, "failure": text})
        self.redis.zadd(f"{self.prefix}workers", {f"{name}|{name}": time.time() + 99})
        self.redis.set(f"{self.prefix}worker:{name}|{name}", text)
        for event in ({"event": name, "job": name, "kind": name, "more": text}, {"x": text}):
            self.redis.xadd(f"{self.prefix}events", event)
        for event in ("ended", "waiting", "started", "progress"):
            self.redis.xadd(f"{self.prefix}events", {"event": event, "job": name, "more": quoted})

    def _hash(self, key: str, values: dict[str, Any]) -> None:
        self.redis.hset(f"{self.prefix}{key}", mapping=values)


COMMANDS = [
    *(["job", "list", "--state", state] for state in ("queued", *SHELVES[:-1])),
    *(["status"], ["events"], ["words", "list"], ["schedule", "list"], ["job", "list"]),
    *(["job", "show", "JOB"], ["batch", "show", "JOB"], ["words", "show", "NAME"]),
    *(["job", "wait", "JOB", "--timeout", "0.1"], ["job", "show", "NAME"]),
]


@pytest.mark.parametrize("text", [HOSTILE, *BROKEN])
def test_whatever_stands_in_redis_is_listed_and_harmless(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str | bytes,
) -> None:
    # One record whose request was no JSON ended `job list` with 70 for everybody.
    Planted(installation).everywhere(text)
    sound = installation.client.upload("data:,x", "b2://some-bucket/sound")
    name = f"of {text!r}" if text in BROKEN else str(text)
    monkeypatch.setenv("B2JOBS_REDIS_URL", installation.redis_url)
    monkeypatch.setenv("B2JOBS_KEY_PREFIX", installation.key_prefix)
    for command in COMMANDS:
        for more in ([], ["--json"]):
            words = [{"JOB": f"{name} 3 None", "NAME": name}.get(word, word) for word in command]
            try:
                status = _run(["--traceback", *words, *more])  # a bug is raised
            except SystemExit as ended:
                status = int(str(ended.code))
            said = capsys.readouterr()
            assert status != 70, (command, said.err)
            lines = (said.out + said.err).split("\n")
            assert not [line for line in lines if not line.isprintable()], command
            assert not any(line.startswith("Error: forged") for line in lines), command
            if more:
                assert all(json.loads(line) for line in said.out.split("\n")[:-1]), command
            if command[:2] == ["job", "list"] and command[-1] in ("list", "queued"):
                assert sound.id in said.out


PAGES = (
    *("/", "/jobs", "/batches", "/schedules", "/words", "/workers", "/accounts", "/metrics"),
    *("/jobs/JOB", "/batches/JOB", "/batches/JOB/report"),
)


def test_the_pages_show_it_all_the_same(installation: Installation) -> None:
    for text in (HOSTILE, *BROKEN[:2], b"\xff\xfe"):
        Planted(installation).everywhere(text)
    _, url = start(installation, **TOKENS)
    browser = Browser(url).log_in(READ_TOKEN)
    for name in (HOSTILE, f"of {BROKEN[0]!r}"):
        for page in PAGES if name is HOSTILE else PAGES[-3:]:
            answer = browser.get(page.replace("JOB", quote(f"{name} 3 None", safe="")))
            assert answer.status in (200, 303, 404), (page, answer.text)
            if not page.endswith("report"):  # which is a file, to the byte
                lines = answer.text.split("\n")
                assert not [line for line in lines if not line.expandtabs().isprintable()], page
