"""What plain Celery wants to go on with when a job has ended: callbacks, chains, chords.

It is stored with the record when the job is registered, and told like every word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from b2jobs.errors import InvalidJob
from b2jobs.requests import KINDS

_LISTS = ("callbacks", "errbacks", "chain")
_PLACE = ("group", "group_index", "root_id", "parent_id", "replaced_task_nesting", "ignore_result")
_FIRST = ("source", "target", "manifest")
_HOLD_OTHERS = {
    *("celery.chain", "celery.group", "celery.chord"),
    *("celery.map", "celery.starmap", "celery.chunks"),
}


def canvas_of(links: Mapping[str, Any], headers: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rest of the canvas that a message is a part of; None where nothing hangs on its end.

    Raises:
        InvalidJob: what should be signatures is something else.
    """
    found = {name: links[name] for name in (*_LISTS, "chord") if links.get(name)}
    if not found:
        return None
    for name in _LISTS:
        each = found.get(name, [])
        if not isinstance(each, list) or not all(map(_is_signature, each)):
            raise _unreadable(name)
    if not _is_signature(found.get("chord", {"task": "none"})):
        raise _unreadable("chord")
    try:
        json.dumps(found)
    except (TypeError, ValueError, RecursionError):
        raise _unreadable("embed") from None
    return {**found, **{name: headers[name] for name in _PLACE if headers.get(name) is not None}}


def tasks_of(canvas: object) -> set[str]:
    """Every task that *canvas* could call, however deep it is named; never too few."""
    found: set[str] = set()
    left = [canvas]
    while left:
        match left.pop():
            case dict() as signature:
                name = signature.get("task")
                found |= {name} if isinstance(name, str) else set()
                left += signature.values()
            case list() | tuple() as several:
                left += several
    return found - _HOLD_OTHERS


def check_supported(kind: str, headers: Mapping[str, Any]) -> None:
    """Refuse what a job of b2jobs cannot be in a canvas.

    Raises:
        InvalidJob: `canvas_unsupported`
    """
    if headers.get("replaced_task_nesting"):
        raise InvalidJob(
            f"{kind} cannot take the place of a task that was replaced (Task.replace).",
            code="canvas_unsupported",
            hint="Put it into a chain, or call it with link.",
        )
    if headers.get("stamped_headers") or headers.get("stamps"):
        raise InvalidJob(
            f"{kind} cannot carry stamps (Signature.stamp), which would be lost on the way.",
            code="canvas_unsupported",
            hint="Send it without stamps.",
        )


def with_first(kind: str, positional: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with what a chain handed over as the first one: a location, or the result
    of a job of b2jobs, whose `uri` it is.

    Raises:
        InvalidJob
    """
    if not positional:
        return named
    model = KINDS.get(kind)
    name = next((each for each in _FIRST if model and each in model.model_fields), None)
    given = positional[0]
    if len(positional) == 1 and name is not None and name not in named:
        value = given.get("uri") if isinstance(given, dict) else given
        if isinstance(value, str) and value:
            return {**named, name: value}
    raise InvalidJob(
        f"{kind} takes its arguments by name; {repr(given)[:120]} came without one.",
        hint="Send kwargs={...}. In a chain, a group or a chord make the signature immutable "
        "(.si, immutable=True), or let the task before it return a location.",
    )


def _is_signature(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("task"), str)


def _unreadable(name: str) -> InvalidJob:
    return InvalidJob(
        f"The message cannot be read: its {name} is not what Celery sends.",
        code="message_unreadable",
    )
