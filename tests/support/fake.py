"""The test's side of `support.fake_app`: jobs with a script, and what became of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from b2jobs.handle import Handle
from support.installation import Installation
from support.waiting import eventually


@dataclass(frozen=True)
class Event:
    event: str
    job: str
    number: int
    pid: int
    at: float


class Fake:
    """Submits scripted jobs to one installation and reads what its workers did."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.folder = installation.folder / "fake"
        self.folder.mkdir(exist_ok=True)

    def submit(self, *, priority: str = "normal", **script: object) -> Handle:
        options = {name: script.pop(name) for name in ("key", "retry", "expires") if name in script}
        return self.installation.client.upload(
            "data://.my/x",
            "b2://some-bucket/x",
            priority=priority,
            info={name: str(value) for name, value in script.items()},
            **options,
        )

    def events(self, event: str | None = None, job: str | None = None) -> list[Event]:
        """What happened so far, in order."""
        return [
            found
            for found in self._read()
            if event in (None, found.event) and job in (None, found.job)
        ]

    def let_go(self, *jobs: Handle) -> None:
        """Let jobs submitted with `hold=1` end."""
        folder = self.folder / "let-go"
        folder.mkdir(exist_ok=True)
        for job in jobs:
            (folder / job.id).touch()

    def running(self, job: Handle, number: int = 1) -> Event:
        """Wait until the *number*-th attempt of the job has begun; it says which process."""
        return eventually(
            lambda: next((e for e in self.events("start", job.id) if e.number >= number), None),
            timeout=120,
            what=lambda: f"attempt {number} of {job.record()}",
        )

    def versions(self) -> Counter[str]:
        """How many versions each job has made that are still there."""
        return Counter(path.name.rsplit("-", 1)[0] for path in (self.folder / "made").glob("*"))

    def unfinished(self) -> set[str]:
        return {path.name for path in (self.folder / "unfinished").glob("*")}

    def ended(self, jobs: list[Handle], timeout: float = 150) -> dict[str, str]:
        """Wait for the end of all; their states by id."""
        records = self.installation.client.records

        def all_ended() -> bool:
            counts = records.counts()
            return not counts["queued"] + counts["running"] + counts["waiting"]

        eventually(all_ended, timeout=timeout, what=lambda: str(records.counts()))
        return {job.id: job.state() for job in jobs}

    def _read(self) -> Iterator[Event]:
        path = self.folder / "events"
        if path.exists():
            for line in path.read_text().splitlines():
                yield Event(**json.loads(line))
