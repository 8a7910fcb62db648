"""What the tests of the scripts share: a door, and a job in any state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from redis import Redis

from b2jobs.redis import Door

META = json.dumps({"status": "SUCCESS", "result": None})
FAILURE = json.dumps({"code": "x", "message": "x", "act": "nobody"})
LIMIT_MS = 10.0
"""How long one call may hold Redis."""
STATES = ("queued", "running", "waiting", "succeeded", "failed", "cancelled")


class Scripts:
    """The scripts on one Redis under one prefix."""

    def __init__(self, redis: Redis, url: str, prefix: str) -> None:
        self.redis = redis
        self.prefix = prefix
        self.call = Door(redis, url, prefix).call

    def key(self, name: str) -> str:
        return f"{self.prefix}b2jobs:{name}"

    def submit(self, id: str = "j", **more: Any) -> str:
        given = {"kind": "upload", "priority": "normal", "request": "{}", "retry": 60, "delay": 0}
        return str(self.call("jobs/submit", id=id, **{**given, **more}))

    def claim(self, id: str = "j", lease: float = 60.0) -> list[str]:
        own = {"worker": "w", "lease": lease, "random": "r"}
        answer: list[str] = self.call(
            "jobs/claim", id=id, longest=1024, **own, failure=FAILURE, meta=META, keep=60
        )
        return answer

    def finish(self, id: str, fence: str, state: str = "succeeded", **more: Any) -> list[Any]:
        said = {"failure": FAILURE} if state == "failed" else {"result": "{}"}
        own = {"meta": META, "keep": 60, **said, **more}
        answer: list[Any] = self.call("jobs/finish", id=id, fence=fence, state=state, **own)
        return answer

    def beat(self, id: str, fence: str) -> str:
        held = [{"id": id, "fence": fence, "progress": ""}]
        return str(self.call("jobs/beat", lease=60, held=held)[0])

    def job(self, state: str, id: str = "j", **more: Any) -> str:
        """Bring a new job into *state* as workers do; the fence of its attempt, if it had one."""
        if state == "none":
            return ""
        self.submit(id, **more)
        if state == "queued":
            return ""
        fence = self.claim(id)[1]
        if state == "waiting":
            self.call("jobs/park", id=id, fence=fence, reason="b", delay=600, failure=FAILURE)
        elif state != "running":
            self.finish(id, fence, state)
        return fence

    def state(self, id: str = "j") -> str:
        return self.field("state", id) or "none"

    def field(self, name: str, id: str = "j") -> str:
        return str(self.redis.hget(self.key(f"job:{id}"), name) or "")

    def shelves(self, id: str = "j") -> set[str]:
        """The sorted sets that hold the job: one, and the right one."""
        names = (*STATES[1:], "queued:high", "queued:normal", "queued:low")
        return {name for name in names if self.redis.zscore(self.key(name), id) is not None}

    def bells(self, queue: str = "b2jobs") -> list[dict[str, Any]]:
        """The messages of a queue, the one that is taken next first."""
        found = self.redis.lrange(f"{self.prefix}{queue}", 0, -1)
        return [json.loads(message) for message in reversed(found)]


Make = Callable[..., Scripts]


_MEASURE = "for n = 1, 10000 do redis.call('hset', KEYS[1], n % 100, n) end return 1"
_MEASURE_MS = 6.0
"""What the measure takes where `LIMIT_MS` is meant: a core of 2024 with nothing else to do."""


def milliseconds(scripts: Scripts, act: Callable[[], object], times: int = 5) -> float:
    """What one of several calls takes of the server's own time, each of which finds work to do.

    Other processes count for nothing, nor does the machine: it is compared with a script that
    always does the same, in turns.
    """
    measure, taken = [], []
    for _ in range(times):
        measure.append(
            _taken(scripts, lambda: scripts.redis.eval(_MEASURE, 1, scripts.key("measure")))
        )
        taken.append(_taken(scripts, act))
    scripts.redis.unlink(scripts.key("measure"))
    return min(taken) / min(measure) * _MEASURE_MS


def _taken(scripts: Scripts, act: Callable[[], object]) -> float:
    before = _cpu_seconds(scripts)
    assert act(), "there was nothing to do"
    return _cpu_seconds(scripts) - before


def _cpu_seconds(scripts: Scripts) -> float:
    used = scripts.redis.info("cpu")
    return float(used["used_cpu_user_main_thread"]) + float(used["used_cpu_sys_main_thread"])
