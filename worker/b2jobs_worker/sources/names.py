"""Names that a side cannot hold. They are reported and left alone; the rest goes on.

B2 allows `../x`, `a//b`, and `a` beside `a/b`; a folder does not. Downloads are confined by
refusing such names here, before any path is built, and again by the sink that opens it.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from b2jobs import locations
from b2jobs_worker.sources.encoding import FOREIGN, to_local
from b2jobs_worker.sources.parts import is_part
from b2jobs_worker.sources.target import key_problem

LONGEST_PART_BYTES = 255


# ASCII, no empty part, none that begins with a dot: nearly every name, decided at once.
_PLAIN = re.compile(r"[!-\-0-~ ][!-.0-~ ]*(?:/[!-\-0-~ ][!-.0-~ ]*)*\Z").match

_PLAIN_IN_B2 = re.compile(r"[ -.0-~]+(?:/[ -.0-~]+)*\Z").match


class Refused(NamedTuple):
    """Why a name is left alone."""

    code: str
    message: str


class LocalNames:
    """Judges the names of a bucket in ascending order, for a local destination.

    Constant memory: a file `a` can only clash with `a/b` while names begin with `a`, and
    where the file system does not tell case apart, the folded names go to a temporary file.
    """

    def __init__(self, *, folds_case: bool = False, decodes: bool = False) -> None:
        """*decodes*: judge what the names are on the disk: see `encoding`."""
        self._decodes = decodes
        self._empty: dict[str, str] = {}
        self._above: list[str] = []
        self._folded = _Folded() if folds_case else None

    def judge(self, name: str) -> Refused | None:
        """Why *name* cannot be written below the destination, or None."""
        above = self._above
        while above and not name.startswith(above[-1]):
            above.pop()
        for file in above:
            if name[len(file)] == "/":
                return Refused(
                    "name_clash", f"{file!r} is a file in the bucket, so it cannot be a folder."
                )
        path = to_local(name) if self._decodes else name
        if self._decodes and f"{FOREIGN}/" in f"{path}/":
            # An empty part, or a name that is written as one: two of them may be one path.
            first = self._empty.setdefault(path, name)
            if first != name:
                return Refused("name_clash", f"{first!r} is written as the same local path.")
        problem = _local_problem(path)
        if problem:
            return Refused("name_unsafe", f"{name!r} cannot be a local file: {problem}.")
        if self._folded is not None:
            other = self._folded.claim(path)
            if other is not None:
                return Refused(
                    "name_clash", f"It differs from {other!r} only in case or accents' form."
                )
        above.append(name)
        return None


def store_names(prefix: str) -> Callable[[str], Refused | None]:
    """Judges the names of a bucket for a prefix of another store, which knows no folders."""

    def judge(name: str) -> Refused | None:
        if _PLAIN(name) and len(prefix) + len(name) <= LONGEST_PART_BYTES:
            return None
        problem = key_problem(prefix + name)
        return (
            Refused("name_unsafe", f"{name!r} cannot be an object: {problem}.") if problem else None
        )

    return judge


def b2_problem(name: str) -> Refused | None:
    """Why B2 would refuse the whole file name *name*, or None."""
    if len(name) <= 250 and _PLAIN_IN_B2(name):
        return None
    try:
        locations.check_b2_name(name)
    except locations.InvalidLocation as error:
        return Refused(error.code, str(error))
    return None


def _local_problem(name: str) -> str:
    if _PLAIN(name) and len(name) <= LONGEST_PART_BYTES:
        return ""
    if not name:
        return "it is empty"
    if "\0" in name:
        return "it has a NUL character"
    try:
        whole = name.encode("utf-8", "surrogateescape")  # bytes that are no text may be read back
    except UnicodeEncodeError:
        return "it is not valid UTF-8"
    if len(whole) > 4000:
        return "it is too long"
    for part in name.split("/"):
        if not part:
            return "it has an empty part"
        if part in (".", ".."):
            return f"it has the part {part!r}"
        if len(part.encode("utf-8", "surrogateescape")) > LONGEST_PART_BYTES:
            return f"a part has more than {LONGEST_PART_BYTES} bytes"
    if is_part(name.rpartition("/")[2]):
        return "it is that of an unfinished download"
    return ""


class _Folded:
    """Names seen so far, without case, on disk."""

    def __init__(self) -> None:
        self._base = sqlite3.connect("")  # a temporary file that sqlite removes itself
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute("CREATE TABLE seen (folded BLOB PRIMARY KEY, name TEXT) WITHOUT ROWID")

    def claim(self, name: str) -> str | None:
        """None when the name is the first of its folded form, else the first."""
        folded = unicodedata.normalize("NFC", name).casefold()
        key = blake2b(folded.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        first = self._base.execute("SELECT name FROM seen WHERE folded = ?", (key,)).fetchone()
        if first is not None:
            return None if first[0] == name else str(first[0])
        self._base.execute("INSERT INTO seen VALUES (?, ?)", (key, name))
        return None
