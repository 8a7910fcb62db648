"""Words: what is told when a job ends, to Celery tasks, to webhooks and to the rest of a canvas.

They wait in the outbox (`redis/shared/outbox.lua`) until a worker has delivered them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, Literal, cast

from b2jobs.errors import WordNotFound
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import json_object, moment, whole
from b2jobs.results import without_content
from b2jobs.signed import unsealed

_MOST_OF_A_JOB, _LAST_ENDS = 20, 3
WordState = Literal["waiting", "undelivered"]


@dataclass(frozen=True)
class Word:
    """One word of one end of a job.

    id: stays the same, however often it is told: the `webhook-id`, and with dashes the id of
        the Celery task.
    to: whom it is told: `task`, `url` or `canvas`, and what belongs to it.
    tries, error: how often telling it failed, and why the last time.
    ended: when the job did. due: when it is told next; None where it was given up.
    """

    id: str
    job: str
    kind: str
    state: str
    to: dict[str, Any]
    result: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    lane: str = ""
    tries: int = 0
    error: str = ""
    ended: datetime | None = None
    due: datetime | None = None

    @property
    def standing(self) -> WordState:
        return "undelivered" if self.due is None else "waiting"

    @property
    def receiver(self) -> str:
        """Whom it is told, in one word; a URL without its query, which may be a secret."""
        if "url" in self.to:
            return str(self.to["url"]).partition("?")[0]
        return str(self.to.get("task", "canvas"))

    def about(self) -> dict[str, Any]:
        """What is told: `job`, `kind`, `state`, `result` and `failure`."""
        return {
            "job": self.job,
            "kind": self.kind,
            "state": self.state,
            "result": self.result,
            "failure": self.failure,
        }

    def as_json(self, *, is_listed: bool = False) -> dict[str, Any]:
        """As `b2jobs words show --json` prints it; absent fields are left out.

        *is_listed*: as in a list, without the content that a download has brought.
        """
        found: dict[str, Any] = {
            "id": self.id,
            "standing": self.standing,
            "to": self.receiver,
            **self.about(),
            "result": without_content(self.result) if self.result and is_listed else self.result,
            "tries": self.tries,
            "error": self.error,
            "ended": self.ended.isoformat() if self.ended else None,
            "due": self.due.isoformat() if self.due else None,
        }
        return {name: value for name, value in found.items() if value not in (None, "")}


def entries(told: str | None) -> list[Any]:
    """Whom a job's record says is told; see `requests.on_done.to_tell`."""
    try:
        found = json.loads(told) if told else []
    except ValueError:  # not written by b2jobs
        return []
    return found if isinstance(found, list) else []


def word_of(word_id: str, fields: Mapping[str, str], due: datetime | None = None) -> Word:
    """A word from what Redis has of it."""
    result, failure = fields.get("result"), fields.get("failure")
    return Word(
        id=word_id,
        job=fields.get("job", ""),
        kind=fields.get("kind", ""),
        state=fields.get("state", ""),
        to=json_object(unsealed(fields.get("to", ""))),
        result=json_object(result) if result else None,
        failure=json_object(failure) if failure else None,
        lane=fields.get("lane", ""),
        tries=whole(fields.get("tries")),
        error=fields.get("error", ""),
        ended=moment(fields.get("ended")),
        due=due,
    )


class Words:
    """The words of one installation that wait or were given up. Any call may raise
    `QueueUnavailable`."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._redis = records.redis

    def listed(self, *, standing: WordState | None = None, limit: int = 100) -> Iterator[Word]:
        """Words that were given up, the last first, then those that wait, the next first."""
        left = limit
        if standing != "waiting":
            for word in self._read(self._page("undelivered", left, latest=True), waits=False):
                left -= 1
                yield word
        if standing == "undelivered":
            return
        with unavailable(self._records.url):
            lanes = cast("list[str]", self._redis.zrange(f"{self._records.prefix}outbox", 0, -1))
        for lane in lanes:
            if left <= 0:
                return
            for word in self._read(self._page(f"lane:{lane}", left), waits=True):
                left -= 1
                yield word

    def get(self, word_id: str) -> Word:
        """One word.

        Raises:
            WordNotFound
        """
        with unavailable(self._records.url):
            fields = cast("dict[str, str]", self._redis.hgetall(self._key(word_id)))
            lane = f"{self._records.prefix}lane:{fields.get('lane', '')}"
            due = self._redis.zscore(lane, word_id) if fields else None
        if not fields:
            raise WordNotFound(f"There is no word {word_id!r}; it may have been delivered.")
        return word_of(word_id, fields, _moment(due))

    def of_job(self, job_id: str) -> list[Word]:
        """The words about *job_id* that wait or were given up; what was delivered is not kept."""
        key = f"{self._records.prefix}job:{job_id}"
        with unavailable(self._records.url):
            told, ends = cast("list[str | None]", self._redis.hmget(key, "tell", "ends"))
        count = min(len(entries(told)), _MOST_OF_A_JOB)
        last = whole(ends)
        names = [
            sha1(f"{self._records.root}{job_id}:{end}:{at}".encode()).hexdigest()[:32]
            for end in range(max(1, last - _LAST_ENDS + 1), last + 1)
            for at in range(1, count + 1)
        ]
        found = []
        for name in names:
            try:
                found.append(self.get(name))
            except WordNotFound:  # it was delivered
                continue
        return found

    def resend(self, word_id: str) -> None:
        """Tell a word again that was given up, or now one that waits.

        Raises:
            WordNotFound
        """
        self._act("words/resend", word_id)

    def drop(self, word_id: str) -> None:
        """Tell it to nobody.

        Raises:
            WordNotFound
        """
        self._act("words/drop", word_id)

    def counts(self) -> dict[WordState, int]:
        """How many words there are of each standing."""
        prefix = self._records.prefix
        with unavailable(self._records.url):
            lanes = cast("list[str]", self._redis.zrange(f"{prefix}outbox", 0, -1))
            pipe = self._redis.pipeline(transaction=False)
            pipe.zcard(f"{prefix}undelivered")
            for lane in lanes:
                pipe.zcard(f"{prefix}lane:{lane}")
            given_up, *waiting = pipe.execute()
        return {"waiting": sum(waiting), "undelivered": given_up}

    def _act(self, script: str, word_id: str) -> None:
        if not self._records.door.call(script, word=word_id):
            raise WordNotFound(f"There is no word {word_id!r}; it may have been delivered.")

    def _key(self, word_id: str) -> str:
        return f"{self._records.prefix}word:{word_id}"

    def _page(self, key: str, most: int, *, latest: bool = False) -> list[tuple[str, float]]:
        if most <= 0:
            return []
        with unavailable(self._records.url):
            found = self._redis.zrange(
                f"{self._records.prefix}{key}", 0, most - 1, desc=latest, withscores=True
            )
        return cast("list[tuple[str, float]]", found)

    def _read(self, page: list[tuple[str, float]], *, waits: bool) -> Iterator[Word]:
        with unavailable(self._records.url):
            pipe = self._redis.pipeline(transaction=False)
            for word_id, _ in page:
                pipe.hgetall(self._key(word_id))
            found = pipe.execute()
        for (word_id, score), fields in zip(page, found, strict=True):
            if fields:
                yield word_of(word_id, fields, _moment(score) if waits else None)


def _moment(score: float | None) -> datetime | None:
    return None if score is None else datetime.fromtimestamp(score, UTC)
