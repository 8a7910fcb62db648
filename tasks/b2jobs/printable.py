"""Text of others where a person reads it: nothing in it moves a cursor, makes a line, or turns
what stands beside it around. The one place that decides this, for command line, pages, logs and
failure messages."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    r"""*text* on one line, with what is not seen (controls, line ends, direction marks, half a
    surrogate pair) as `\x1b`, `\n`, `\u202e`; all else as it is."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def json_line(data: Any) -> str:
    """*data* as JSON on one line: readable, and as harmless on a terminal as `printable`.

    What is not seen stands as JSON's own escapes, so the values are the same.
    """
    text = json.dumps(data, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
