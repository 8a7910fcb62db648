"""Part files: what a download has so far, beside its target, as `.NAME.JOB.b2jobs-part`."""

from __future__ import annotations

import hashlib
import os
import re

SUFFIX = ".b2jobs-part"
_NAME_LIMIT_BYTES = 255
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def part_token(job_id: str) -> str:
    """How *job_id* stands in a part file's name: as it is, or as a digest where it could not.

    A task id is chosen by the caller of `send_task` and may be anything, `../../x` too.
    """
    if _PLAIN.match(job_id):
        return job_id
    return hashlib.sha256(job_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def part_name(name: str, job_id: str) -> str:
    """The part file's name for the target *name*, 255 bytes at most.

    A name that is too long is cut, and told apart by a digest.
    """
    tail = f".{part_token(job_id)}{SUFFIX}"
    if 4 * len(name) + len(tail) < _NAME_LIMIT_BYTES:
        return f".{name}{tail}"
    encoded = os.fsencode(name)
    if 1 + len(encoded) + len(tail) > _NAME_LIMIT_BYTES:
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        kept = encoded[: _NAME_LIMIT_BYTES - 1 - len(tail) - 1 - len(digest)]
        name = kept.decode("utf-8", "ignore") + "~" + digest
    return f".{name}{tail}"


def is_part(name: str) -> bool:
    """Whether *name* (without folders) is a part file's."""
    return name.startswith(".") and name.endswith(SUFFIX)
