"""From what a sync decided to the items that a batch carries out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from b2jobs.items import Item, Planned, Refusal
from b2jobs.metadata import LARGE_FILE_SHA1, MODIFIED_MILLIS
from b2jobs.requests import check_info
from b2jobs.requests.info import HEADERS_IN_INFO
from b2jobs_worker.b2.versions import JOB_TAG
from b2jobs_worker.sources.encoding import written
from b2jobs_worker.sync.decide import Action, Hide, Problem, Remove, Transfer
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.sides import Sides

SMALLEST_LARGE_BYTES = 5_000_000


def planned(action: Action, sides: Sides) -> Planned:
    """The item that does *action*, or the refusal that reports it."""
    match action:
        case Transfer():
            return _transfer(action, sides)
        case Hide(name=name, file_id=file_id):
            refused = sides.refused_in_b2(name)
            if refused is not None:
                message = f"{refused.message} It can only be removed, as b2id://{file_id}."
                return Refusal(refused.code, message, "", sides.destination + name)
            return Item("hide", "", sides.destination + name)
        case Remove():
            return _removal(action, sides)
        case Problem(name=name, code=code, message=message):
            shown = name.encode(errors="backslashreplace").decode()
            text = message.encode(errors="backslashreplace").decode()
            return Refusal(code, text, sides.source + shown, sides.destination + shown)


def _transfer(action: Transfer, sides: Sides) -> Item:
    entry = action.source
    needs_key = entry.has_customer_key and sides.customer_key is not None
    key = {"customer_key": sides.customer_key} if needs_key else {}
    as_names: dict[str, Any] = {"encoded": True} if sides.encodes else {}
    source, destination = sides.source + entry.name, sides.destination + entry.name
    if sides.encodes and sides.rules.direction == "down":
        destination = sides.destination + written(entry.name)
    match sides.rules.direction:
        case "up":
            # Other tools know a large file's content by the digest in its info.
            is_large = entry.size > SMALLEST_LARGE_BYTES
            hashing = {"hash_first": True} if is_large else {}
            return Item("upload", source, destination, entry.size, options={**hashing, **as_names})
        case "down":
            options = {"replaces": action.replaces, **key, **as_names}
            if sides.refused_in_b2(entry.name, is_source=True):
                source = f"b2id://{entry.file_id}"  # a part of 251 to 255 bytes
            return Item("download", source, destination, entry.size, options=options)
        case _:
            options = {**_with_time(entry, sides.info), **key}
            return Item("copy", source, destination, entry.size, options=options)


def _with_time(entry: Entry, asked: Mapping[str, str] | None) -> dict[str, Any]:
    """A copy is younger than its source, so the source's time must be written where it is not.

    *asked* is the info that copies are to have in place of the source's.
    """
    if entry.has_modified:
        return {}
    _, info = entry.metadata
    info = info if asked is None else asked
    # A copy carries the digest and the headers by itself, whatever an uploader wrote there.
    kept = {
        name: text
        for name, text in (info or {}).items()
        if name not in (JOB_TAG, LARGE_FILE_SHA1) and name not in HEADERS_IN_INFO
    }
    kept[MODIFIED_MILLIS] = str(entry.modified_millis)
    try:
        check_info(kept)
    except ValueError:
        return {}  # as full as B2 allows: it is copied again each time, but it is copied
    return {"info": kept}


def _removal(action: Remove, sides: Sides) -> Item:
    target = sides.destination + action.name
    if sides.rules.direction == "down":
        options: dict[str, Any] = {"identity": action.identity, "top": sides.destination}
        if sides.encodes:
            options["encoded"] = True
        return Item("remove", "", target, options=options)
    if sides.refused_in_b2(action.name):
        return Item("delete", "", f"b2id://{action.file_id}")  # a name such as `a//b` or `a/`
    return Item("delete", "", target, options={"versions": action.file_id})


def line(action: Action) -> str:
    """One line of the plan, for people."""
    match action:
        case Transfer(source=source, reason=reason):
            return f"transfer {source.name} ({reason}, {source.size} bytes)"
        case Hide(name=name):
            return f"hide {name}"
        case Remove(name=name, reason=reason):
            return f"remove {name} ({reason})"
        case Problem(name=name, code=code):
            return f"leave {name} ({code})".encode(errors="backslashreplace").decode()
