"""`python -m b2jobs_worker`: the worker, as one parent and its Celery processes.

Cores are used by processes, latency is hidden by threads inside each. One more process with
a few slots serves only `high`. A process that dies is started again; one that dies again and
again before it takes a job ends the worker, so that whoever started it sees that.

    python -m b2jobs_worker [--check [--json]] [--start-tries N]
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from b2jobs.errors import OperatorError
from b2jobs_worker import children, logs
from b2jobs_worker.children import Child, Plan
from b2jobs_worker.delivery.credentials_watch import CredentialsWatch
from b2jobs_worker.health import Health
from b2jobs_worker.settings import Settings, load
from b2jobs_worker.start.check import before_processes, check, log, report
from b2jobs_worker.start.finding import finding

START_TRIES = 4
LOOK_SECONDS = 0.2
PARENT = "parent"
START_FAILED, CANNOT_START = 1, 2
STOPPED = {-signal.SIGTERM, -signal.SIGQUIT, -signal.SIGKILL}
"""How a process ends that is told to stop before it knows signals, or is not waited for."""

logger = logging.getLogger("b2jobs_worker")


def plan(settings: Settings) -> list[Plan]:
    """The processes that *settings* ask for."""
    served = settings.priorities()
    plans = [Plan(f"w{i + 1}", served, settings.slots) for i in range(settings.process_count())]
    if settings.reserved_slots and "high" in served and len(served) > 1:
        plans.append(Plan("urgent", ["high"], settings.reserved_slots))
    return plans


class Parent:
    """Starts the processes, passes signals on, and waits for all of them."""

    def __init__(
        self,
        plans: list[Plan],
        start_tries: int = START_TRIES,
        health: Health | None = None,
        *,
        forks: bool = False,
    ) -> None:
        """*forks*: what the processes need is loaded, and there is no other thread yet."""
        self.stopping = 0
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        self._health = health
        self._start_tries = start_tries
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.children = [Child(what, self._forked if forks else None) for what in plans]
        if health is not None:
            health.serve()

    def run(self) -> int:
        failed = None
        while not self.stopping and failed is None:
            failed = next((c for c in self.children if c.has_given_up(self._start_tries)), None)
            if failed is None:
                for child in self.children:
                    child.revive()
                if self._health is not None:
                    self._health.tell(
                        running=all(child.is_running() for child in self.children),
                        ready=all(child.takes_jobs() for child in self.children),
                    )
                self._rest(LOOK_SECONDS)
        for child in self.children:
            child.signal(signal.SIGTERM)
        statuses = [child.process.wait() for child in self.children]
        if failed is not None:
            logger.error(
                "process %s ended with status %d while it was starting, %d times in a row; "
                "giving up, the lines above say why",
                *(failed.plan.name, failed.process.returncode, failed.failed_starts),
            )
            return START_FAILED
        return max(0 if status in STOPPED else abs(status) for status in statuses)

    def _rest(self, seconds: float) -> None:
        if select.select([self._woken], [], [], seconds)[0]:
            os.read(self._woken, 64)

    def _forked(self) -> None:
        """What a copy of this process gives up before it serves."""
        os.close(self._woken)
        os.close(self._wake)
        if self._health is not None:
            self._health.close()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.stopping += 1
        os.write(self._wake, b"!")
        if self.stopping > 1 and hasattr(self, "children"):
            for child in self.children:
                child.signal(signal.SIGQUIT)
        logger.info("signal %d: stopping", number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker until it is told to stop; its exit status.

    0 stopped as it was told, 1 a process could not be started, 2 it cannot start as things are.
    """
    given = _options().parse_args(arguments)
    if not given.check:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))  # until there are processes to stop
    logs.set_up("json" if given.json else "text", "info", PARENT)
    try:
        settings = load()
    except OperatorError as error:
        refused = [finding(error, heals=False)]
        if given.check:
            return report(refused, as_json=given.json)
        log(refused)
        return CANNOT_START
    if given.json:  # for the processes too
        os.environ["B2JOBS_LOG_FORMAT"] = "json"
        settings = load()
    logs.set_up(settings.log_format, settings.log_level, PARENT)
    if given.check:
        return check(settings, as_json=given.json)
    if not log(before_processes(settings)):
        return CANNOT_START
    try:
        told = settings.health_port is not None
        health = Health(settings.health_host, settings.health_port or 0) if told else None
    except OperatorError as error:
        log([finding(error, heals=False)])
        return CANNOT_START
    watch = CredentialsWatch(settings)
    parent = Parent(plan(settings), given.start_tries, health, forks=children.load())
    watch.start()
    status = parent.run()
    children.leave(status)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m b2jobs_worker")
    add = options.add_argument
    add("--check", action="store_true", help="say what is wrong and end: 0 nothing, 1, or 2")
    add("--json", action="store_true", help="one JSON object a line: what --check says, or the log")
    tries = "give up when a process died N times in a row while starting (%(default)s)"
    add("--start-tries", type=int, default=START_TRIES, metavar="N", help=tries)
    return options


if __name__ == "__main__":
    sys.exit(main())
