"""A Celery app whose jobs are delivered for real but move nothing: for tests of delivery alone.

It behaves as a transfer does. What an upload makes is a file `made/JOB-NUMBER` (a version in
B2); what it has begun is `unfinished/JOB` (a large file). An attempt after the first looks for
a version of its job before it makes one. The request's `info` is the script:

    sleep=SECONDS    work that long, looking at the attempt every 50 ms
    die=signal|exit  end the process
    fail=CODE        an error that heals by itself;  times=N: only in the first N attempts
    wait=SECONDS     with fail: how long to wait
    end=CODE         an error that does not heal
    freeze=SECONDS   between the last look at the lease and the commit, look at nothing
    hold=1           work until the test lets go of it
    steps=N          write N lines into the journal, evenly spread over sleep
    bug=1            raise something unforeseen
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from b2jobs.errors import CallerError, PassingError, Wait
from b2jobs.requests import Job, Upload
from b2jobs.results import Result, TransferResult
from b2jobs_worker.attempt import Attempt, Interrupted
from b2jobs_worker.celery.app import make_app
from b2jobs_worker.celery.task import register
from b2jobs_worker.settings import current
from b2jobs_worker.work import Work


class FakeUpload(Work[Upload]):
    def __init__(self, folder: Path) -> None:
        self.log = folder / "events"
        self.made = folder / "made"
        self.unfinished = folder / "unfinished"
        self.made.mkdir(parents=True, exist_ok=True)
        self.unfinished.mkdir(exist_ok=True)

    def run(self, request: Upload, attempt: Attempt) -> Result:
        begun = self.unfinished / attempt.job_id
        try:
            attempt.checkpoint()
            self.tell("start", attempt)
            found = self.committed(attempt) if attempt.number > 1 else None
            if found is not None:
                self.tell("found", attempt)
                begun.unlink(missing_ok=True)
                return TransferResult(file_id=found, status="unchanged")
            begun.touch()
            self.play(request.info, attempt)
            attempt.guard()
            time.sleep(float(request.info.get("freeze", 0)))
            name = f"{attempt.job_id}-{attempt.number}"
            (self.made / name).touch()
            begun.unlink(missing_ok=True)
            self.tell("commit", attempt)
        except Interrupted as interrupted:
            if not interrupted.keep:
                begun.unlink(missing_ok=True)
            self.tell(interrupted.reason, attempt)
            raise
        return TransferResult(file_id=name, size=3)

    def abandon(self, request: Job, attempt: Attempt) -> None:
        attempt.guard()
        self.tell("abandoned", attempt)
        (self.unfinished / attempt.job_id).unlink(missing_ok=True)
        attempt.journal.clear()

    def undo(self, request: Job, made: str) -> None:
        (self.made / made).unlink(missing_ok=True)

    def traces(self, result: Result) -> str | None:
        assert isinstance(result, TransferResult)
        return result.file_id if result.status == "transferred" else None

    def committed(self, attempt: Attempt) -> str | None:
        return next((path.name for path in self.made.glob(f"{attempt.job_id}-*")), None)

    def play(self, script: dict[str, str], attempt: Attempt) -> None:
        if script.get("die") == "exit":
            os._exit(3)
        if "die" in script:
            os.kill(os.getpid(), 9)
        if "bug" in script:
            raise ZeroDivisionError("a bug")
        steps = int(script.get("steps", 0))
        seconds = float(script.get("sleep", 0))
        done = len(attempt.journal.load()) if steps else 0
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds or self.is_held(script, attempt):
            attempt.checkpoint()
            if steps and done < steps and passed * steps / seconds > done:
                attempt.journal.record({f"step{done}": "done"})
                done += 1
            attempt.progress("sending", int(passed * 1000), int(seconds * 1000))
            time.sleep(0.05)
        if "end" in script:
            raise CallerError(script["end"], "asked to fail")
        if "fail" in script and attempt.number <= int(script.get("times", 1_000_000)):
            wait = Wait("backoff", float(script["wait"])) if "wait" in script else None
            raise PassingError(script["fail"], "asked to fail", wait=wait)

    def is_held(self, script: dict[str, str], attempt: Attempt) -> bool:
        return "hold" in script and not (self.log.parent / "let-go" / attempt.job_id).exists()

    def tell(self, event: str, attempt: Attempt) -> None:
        line = json.dumps(
            {
                "event": event,
                "job": attempt.job_id,
                "number": attempt.number,
                "pid": os.getpid(),
                "at": time.time(),
            }
        )
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)


app = make_app(current())
app.main = __name__
app.conf.include = []
register(app, {"upload": FakeUpload(Path(os.environ["FAKE_FOLDER"]))})
