"""`python -m b2jobs_worker`: the worker, as one parent and its Celery processes.

Cores are used by processes, latency is hidden by threads inside each. One more process with
a few slots serves only `high`. A process that dies is started again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from types import FrameType

from b2jobs.errors import OperatorError
from b2jobs_worker.delivery.credentials_watch import CredentialsWatch
from b2jobs_worker.settings import Settings, load

RESTART_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0

logger = logging.getLogger("b2jobs_worker")


@dataclass(frozen=True)
class Plan:
    """One process: which priorities it serves, with how many slots."""

    name: str
    priorities: list[str]
    slots: int


def plan(settings: Settings) -> list[Plan]:
    """The processes that *settings* ask for."""
    served = settings.priorities()
    plans = [Plan(f"w{i + 1}", served, settings.slots) for i in range(settings.process_count())]
    if settings.reserved_slots and "high" in served and len(served) > 1:
        plans.append(Plan("urgent", ["high"], settings.reserved_slots))
    return plans


class Child:
    """One Celery process and how it is kept running."""

    def __init__(self, what: Plan) -> None:
        self.plan = what
        self.deaths = 0
        self.start()

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "b2jobs_worker.process", "serve"),
                *(self.plan.name, str(self.plan.slots), str(os.getpid())),
            ],
            env={**os.environ, "B2JOBS_QUEUES": ",".join(self.plan.priorities)},
            start_new_session=True,
        )

    def revive(self) -> None:
        """Start the process again if it has died and has rested long enough."""
        status = self.process.poll()
        if status is None:
            return
        now = time.monotonic()
        if now - self.started > LONGEST_PAUSE_SECONDS:
            self.deaths = 0
        pause = min(RESTART_PAUSE_SECONDS * 2**self.deaths, LONGEST_PAUSE_SECONDS)
        if now - self.started >= pause:
            logger.error(
                "process %s ended with status %d; starting it again", self.plan.name, status
            )
            self.deaths += 1
            self.start()

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


class Parent:
    """Starts the processes, passes signals on, and waits for all of them."""

    def __init__(self, plans: list[Plan]) -> None:
        self.stopping = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.children = [Child(what) for what in plans]

    def run(self) -> int:
        while not self.stopping:
            for child in self.children:
                child.revive()
            time.sleep(0.2)
        for child in self.children:
            child.signal(signal.SIGTERM)
        statuses = [child.process.wait() for child in self.children]
        return max(abs(status) for status in statuses)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.stopping += 1
        if self.stopping > 1 and hasattr(self, "children"):
            for child in self.children:
                child.signal(signal.SIGQUIT)
        logger.info("signal %d: stopping", number)


def main() -> int:
    """Run the worker until it is told to stop; its exit status."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        settings = load()
    except OperatorError as error:
        logger.error("%s %s [%s]", error, error.hint, error.code)
        return 2
    watch = CredentialsWatch(settings)
    parent = Parent(plan(settings))
    watch.start()
    return parent.run()


if __name__ == "__main__":
    sys.exit(main())
