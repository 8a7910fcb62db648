"""Who is told when a job ends: Celery tasks and webhooks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zlib import crc32

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
)

from b2jobs.model import Model

MOST = 16
CELERY_LANES = 4
WEBHOOK_LANES = 2
"""How many words to one host are on their way at once."""
GIVEN = frozenset({"job", "kind", "state", "result", "failure"})
"""The arguments that a task is called with besides its own."""

_TASK = re.compile(r"[^\W\d][\w.-]*\Z")
_WEB = ("https://", "http://")


class TaskCall(Model):
    """A Celery task of the application, called with `job`, `kind`, `state`, `result`, `failure`.

    queue: without one it goes where the workers' settings `callback_routes` and
        `callback_queue` say.
    args, kwargs: arguments of its own.
    gives: `batch` calls it with `batch`, `state` and `summary` instead, as `on_done` of batches
        did when nothing else had it.
    """

    task: Annotated[str, Field(max_length=255)]
    queue: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    priority: Annotated[int, Field(ge=0, le=9)] | None = None
    gives: Literal["job", "batch"] = "job"

    @field_validator("task")
    @classmethod
    def _task(cls, name: str) -> str:
        if not _TASK.match(name):
            raise ValueError(
                "write a Celery task as 'app.tasks.stored' or a webhook as https://..."
            )
        if name.startswith("b2jobs."):
            raise ValueError("a job of b2jobs cannot be told; name a task of the application")
        return name

    @field_validator("kwargs")
    @classmethod
    def _own(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(GIVEN & set(kwargs))
        if taken:
            raise ValueError(f"the task is called with {', '.join(taken)} anyway")
        return kwargs


class Webhook(Model):
    """A URL that gets one POST, signed as Standard Webhooks say.

    http:// only works for hosts that the workers' setting `webhook_private_hosts` names.
    """

    url: Annotated[str, Field(max_length=2048)]

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if not url.startswith(_WEB):
            raise ValueError("a webhook is an https:// URL")
        if any(ord(char) <= 32 or ord(char) == 127 for char in url):
            raise ValueError("a URL has no spaces or control characters; write them as %20")
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("the URL names no host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a webhook's URL has no user and password; it is signed instead")
        if parts.fragment:
            raise ValueError("a webhook's URL has no #fragment")
        _ = parts.port  # raises where it is none
        return url


def entries(given: Any) -> Any:
    """*given* as a list of mappings: one or several of the forms that `on_done` takes."""
    if given is None:
        return []
    if isinstance(given, str | Mapping | TaskCall | Webhook) or is_pair(given):
        return [entry(given)]
    if not isinstance(given, Sequence):
        raise ValueError(_FORMS)
    if len(given) > MOST:
        raise ValueError(f"has {len(given)} entries, {MOST} are allowed")
    return [entry(each) for each in given]


def entry(given: Any) -> Any:
    """One form of `on_done` as a mapping."""
    if isinstance(given, TaskCall | Webhook):
        return given
    if isinstance(given, str):
        return {"url": given} if "://" in given else {"task": given}
    if is_pair(given):
        return {"task": given[0], "queue": given[1]}
    if isinstance(given, Mapping) and ("task" in given) != ("url" in given):
        return dict(given)
    raise ValueError(_FORMS)


def is_pair(given: Any) -> bool:
    """Whether *given* is a task and its queue.

    A tuple of two strings is. JSON has lists only: one of two strings is a pair as well, unless
    a URL is in it or both read as tasks (`app.one`, `app.two`).
    """
    if not isinstance(given, tuple | list) or len(given) != 2:
        return False
    if not all(isinstance(each, str) for each in given) or any("://" in each for each in given):
        return False
    return isinstance(given, tuple) or not all("." in each for each in given)


_FORMS = (
    "give a Celery task 'app.tasks.stored', ('app.tasks.stored', 'queue') or "
    "{'task': ..., 'queue': ..., 'args': ..., 'kwargs': ...}, a webhook 'https://...', "
    "or a list of these"
)


def _sort(given: Any) -> str:
    is_webhook = isinstance(given, Webhook) or (isinstance(given, Mapping) and "url" in given)
    return "webhook" if is_webhook else "task"


_Entry = Annotated[
    Annotated[TaskCall, Tag("task")] | Annotated[Webhook, Tag("webhook")], Discriminator(_sort)
]
OnDone = Annotated[tuple[_Entry, ...], BeforeValidator(entries)]

AskedOnDone = (
    str | tuple[str, str] | Mapping[str, Any] | Sequence[str | tuple[str, str] | Mapping[str, Any]]
)
"""What a caller may give as `on_done`."""


def to_tell(
    job_id: str,
    on_done: Iterable[TaskCall | Webhook],
    canvas: Mapping[str, Any] | None = None,
    seal: Callable[[str], str] = str,
) -> str | None:
    """What the record keeps of who is told, None for nobody: `[[lane, to]]` as JSON.

    *seal* is put on each *to*, so that nobody else has something told in this job's name.
    """
    entries = [_lane_and_entry(job_id, each) for each in on_done]
    if canvas is not None:
        entries.append((f"celery#{crc32(job_id.encode()) % CELERY_LANES}", {"canvas": canvas}))
    if not entries:
        return None
    return json.dumps([[lane, seal(json.dumps(to))] for lane, to in entries])


def _lane_and_entry(job_id: str, to: TaskCall | Webhook) -> tuple[str, dict[str, Any]]:
    number = crc32(job_id.encode())
    entry = to.model_dump(mode="json", exclude_defaults=True)
    if isinstance(to, TaskCall):
        return f"celery#{number % CELERY_LANES}", entry
    parts = urlsplit(to.url)
    place = f"{parts.scheme}://{parts.netloc}".lower()
    return f"{place}#{number % WEBHOOK_LANES}", entry
