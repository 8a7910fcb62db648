"""What an operator sees: who works, what waits and why, what moves, what failed, what it cost."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from typing import Any

from click.testing import CliRunner, Result

from b2jobs.cli.main import cli
from b2jobs.status import look
from support.fake import Fake
from support.installation import Installation
from support.waiting import eventually


def run(installation: Installation, *words: str) -> Result:
    where = ("--redis-url", installation.redis_url, "--key-prefix", installation.key_prefix)
    return CliRunner().invoke(cli, [*words, *where], catch_exceptions=False)


def test_nobody_works(fake: Fake) -> None:
    fake.submit()
    shown = run(fake.installation, "status")
    assert shown.exit_code == 1
    assert "Nobody is working" in shown.output
    assert "NO WORKER serves this priority (normal)" in shown.output


def test_one_screen_says_what_goes_on(fake: Fake) -> None:
    installation = fake.installation
    installation.start_celery(slots=2, queues="high,normal")
    done = [fake.submit() for _ in range(3)]
    for job in done:
        job.wait(120)
    held = fake.submit(hold=1)
    waiting = fake.submit(fail="service_busy", wait=600)
    broken = fake.submit(end="no_such_file")
    fake.submit(priority="low")
    fake.running(held)
    eventually(lambda: waiting.state() == "waiting" and broken.state() == "failed")
    records = installation.client.records
    eventually(lambda: look(records).workers[0].busy == 1)

    found = look(records)
    [worker] = found.workers
    assert (worker.slots, worker.priorities) == (2, ["high", "normal"])
    assert worker.version
    assert worker.since is not None
    assert 10_000_000 < (worker.memory_bytes or 0) < 2_000_000_000
    assert [record.id for record in found.running] == [held.id]
    [waits] = found.waiting
    assert (waits.reason, waits.code, waits.oldest) == ("backoff", "service_busy", waiting.id)
    assert waits.until is not None
    assert found.queued == {"high": 0, "normal": 0, "low": 1}
    today = {(each.state, each.code): each.count for each in found.today.jobs()}
    assert today == {("succeeded", ""): 3, ("failed", "no_such_file"): 1}
    assert [trouble.code for trouble in found.troubles] == ["priority_unserved"]

    shown = run(installation, "status")
    assert shown.exit_code == 1
    for word in (
        "Jobs of priority low wait (1), and no worker serves it",
        "failed for now, tried again soon",
        "service_busy",
        "no_such_file",
        "1 of 2",
        "b2://some-bucket/x",
    ):
        assert word in shown.output
    data: dict[str, Any] = json.loads(run(installation, "status", "--json").output)
    assert data["states"]["succeeded"] == 3
    assert data["workers"][0]["busy"] == 1
    assert data["today"]["jobs"][0]["count"] == 3
    fake.let_go(held)


def test_it_is_drawn_anew_on_a_terminal(fake: Fake) -> None:
    """`status --watch` takes the screen, shows what comes, and gives it back after Ctrl-C."""
    installation = fake.installation
    installation.client.upload("data:,x", "b2://some-bucket/x")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    command = [sys.executable, "-m", "b2jobs", "status", "--watch", "--every", "0.2"]
    env = {**installation.env(), "TERM": "xterm"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    screen = Screen(master)
    try:
        screen.shows("1 queued, 0 waiting")
        assert "\x1b[?1049h" in screen.text  # the screen of its own
        installation.client.upload("data:,y", "b2://some-bucket/y")
        screen.shows("2 queued, 0 waiting")
        process.send_signal(signal.SIGINT)
        screen.shows("\x1b[?1049l")
        assert process.wait(30) == 130
    finally:
        process.kill()
        os.close(master)


class Screen:
    """What a program has written to a terminal so far."""

    def __init__(self, master: int) -> None:
        os.set_blocking(master, False)
        self._master = master
        self.text = ""

    def shows(self, text: str) -> None:
        def look() -> bool:
            with contextlib.suppress(BlockingIOError, OSError):
                self.text += os.read(self._master, 65536).decode(errors="replace")
            return text in self.text

        eventually(look, timeout=60, what=lambda: self.text[-2000:])


def test_a_worker_that_went_without_a_word_is_missed(fake: Fake) -> None:
    """One that says that it leaves is not, nor one that was started again."""
    installation = fake.installation
    records = installation.client.records
    now = records.redis.time()[0]
    shelf = f"{records.prefix}workers"
    records.redis.zadd(
        shelf,
        {
            "w1-10@here|high": now,
            "w1-9@here|high": now - 300,  # started again
            "w1-11@here|high": now - 720,  # of another worker of that machine
            "w3-12@there|high": now - 7000,  # forgotten
        },
    )
    began = {"since": now - 290}
    records.redis.set(f"{records.prefix}worker:w1-10@here|high", json.dumps(began))
    [trouble] = look(records).troubles
    assert trouble.code == "worker_missing"
    assert "A worker process has gone without a word: w1-11@here, 12 min ago." in trouble.message


def test_all_is_well(fake: Fake) -> None:
    fake.installation.start_celery()
    fake.submit().wait(120)
    shown = run(fake.installation, "status")
    assert (shown.exit_code, "All is well" in shown.output) == (0, True), shown.output


def test_all_is_not_well_above_what_failed(fake: Fake) -> None:
    """`All is well.` stood above `Failed today: 3`, which the callers had to mend."""
    fake.installation.start_celery()
    for job in [fake.submit(end="no_such_file") for _ in range(3)]:
        eventually(lambda: job.state() == "failed")  # noqa: B023 - waited for at once
    shown = run(fake.installation, "status")
    assert shown.exit_code == 0
    assert "All is well" not in shown.output
    assert "Nothing needs an operator; but 3 jobs failed in 24 hours, see below." in shown.output
