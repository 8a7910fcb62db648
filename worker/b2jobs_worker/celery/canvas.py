"""What plain Celery wants to go on with when a job has ended: callbacks, chains, chords.

It is stored with the record when the job is registered, and told like every word.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from b2jobs.errors import InvalidJob
from b2jobs.for_people import masked_all
from b2jobs.requests import KINDS

_LISTS = ("callbacks", "errbacks", "chain")
_PLACE = ("group", "group_index", "root_id", "parent_id", "replaced_task_nesting", "ignore_result")
_PLACES = ("source", "target", "action", "name", "destination")
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
    found["children"] = _children(found)
    try:
        json.dumps(found)
    except (TypeError, ValueError, RecursionError):
        raise _unreadable("embed") from None
    return {**found, **{name: headers[name] for name in _PLACE if headers.get(name) is not None}}


def _children(found: dict[str, Any]) -> list[str]:
    """The ids of the tasks that are called when the job succeeds, so that its result can name them.
    Callbacks get theirs here; what a callback that holds others has is left to Celery."""
    links = [dict(each) for each in found.get("callbacks", [])]
    if links:
        found["callbacks"] = links
    children = []
    for link in [*links, *found.get("chain", [])[-1:]]:
        if link["task"] in _HOLD_OTHERS:
            continue
        options = dict(link.get("options") or {})
        options.setdefault("task_id", str(uuid.uuid4()))
        link["options"] = options
        children.append(str(options["task_id"]))
    return children


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
    """Refuse what a job of b2jobs cannot be in a canvas, and what it cannot keep to.

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
    limits = headers.get("timelimit")
    if isinstance(limits, list | tuple) and any(limits):
        raise InvalidJob(
            f"{kind} was sent with time limits ({repr(list(limits))[:100]}), which nobody keeps.",
            code="canvas_unsupported",
            hint="Leave out time_limit and soft_time_limit; `expires` and `retry` bound a job.",
        )


def with_names(kind: str, positional: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name. In a chain the first of *positional* is what the task before it has
    returned: a location, or the result of a job of b2jobs, whose `uri` it is.

    Raises:
        InvalidJob
    """
    if not positional:
        return named
    names = _names(kind, positional, named)
    first = positional[0].get("uri") if isinstance(positional[0], dict) else positional[0]
    given = dict(zip(names, [first, *positional[1:]], strict=False))
    is_clear = len(positional) <= len(names) and not set(given) & set(named)
    if is_clear and all(isinstance(value, str) and value for value in given.values()):
        return {**named, **given}
    told = ", ".join(repr(masked_all(value))[:120] for value in positional[:3])
    most = f" other than {' and '.join(names)}" if names else ""
    raise InvalidJob(
        f"{kind} takes its arguments{most} by name; {told} came without one.",
        hint="Send kwargs={...}. In a chain, a group or a chord make the signature immutable "
        "(.si, immutable=True), or let the task before it return a location.",
    )


def _names(kind: str, positional: list[Any], named: Mapping[str, Any]) -> list[str]:
    """What the arguments without a name are, in order: those of the function of this name."""
    fields = KINDS[kind].model_fields if kind in KINDS else {}
    if kind == "batch" and len(positional) == 1 and "destination" not in named:
        return ["manifest"]
    names = [name for name in _PLACES if name in fields and name != "manifest"]
    return [name for name in names if name != "destination" or "source" in fields]


def _is_signature(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("task"), str)


def _unreadable(name: str) -> InvalidJob:
    return InvalidJob(
        f"The message cannot be read: its {name} is not what Celery sends.",
        code="message_unreadable",
    )
