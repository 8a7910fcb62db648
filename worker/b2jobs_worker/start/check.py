"""`b2jobs worker --check`, and the part of it that every start begins with."""

from __future__ import annotations

import json
import logging
import sys
import threading

from b2jobs_worker.settings import Settings
from b2jobs_worker.start.finding import Finding
from b2jobs_worker.start.keys import account_findings, secrets_findings
from b2jobs_worker.start.places import place_findings
from b2jobs_worker.start.redis_use import redis_dangers, redis_findings

WELL, WARNED, CANNOT_START = 0, 1, 2

logger = logging.getLogger("b2jobs_worker")


def before_processes(settings: Settings) -> list[Finding]:
    """What can be said before a process starts; milliseconds, 2 s where Redis is away."""
    return [*redis_findings(settings), *secrets_findings(settings), *place_findings(settings)]


def log(findings: list[Finding]) -> bool:
    """Log each; whether the worker can start."""
    for each in findings:
        logger.log(logging.WARNING if each.heals else logging.ERROR, "%s", each)
    return all(each.heals for each in findings)


def check(settings: Settings, *, as_json: bool) -> int:
    """Say on stdout all that is wrong; 0 for nothing, 1 for what can heal, else 2."""
    from b2jobs_worker.transfer.context import build  # b2sdk, which no parent needs

    found = [*before_processes(settings), *redis_dangers(settings)]
    if all(each.heals for each in found):
        found += account_findings(build(settings))
    return report(found, as_json=as_json)


def report(findings: list[Finding], *, as_json: bool) -> int:
    """Print *findings*; the exit status they come to."""
    for each in findings:
        if as_json:
            sys.stdout.write(json.dumps(each.as_json()) + "\n")
        else:
            sys.stdout.write(f"{'Problem' if each.heals else 'Error'}: {each}\n")
    if not findings and not as_json:
        sys.stdout.write("Nothing is wrong: a worker can start and do its jobs.\n")
    sys.stdout.flush()
    if not findings:
        return WELL
    return WARNED if all(each.heals for each in findings) else CANNOT_START


def say_what_b2_refuses() -> None:
    """Check the accounts beside the first jobs, in a thread, and log what B2 refuses."""
    from b2jobs_worker.resources import context

    shared = context()  # made here, before a job asks for it too
    threading.Thread(
        target=lambda: log(account_findings(shared)), name="b2jobs-accounts", daemon=True
    ).start()
