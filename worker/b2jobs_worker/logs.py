"""How a worker's log looks: lines for people, or one JSON object a line; always on stderr."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

from b2jobs.printable import printable

_about: ContextVar[dict[str, str]] = ContextVar("b2jobs_about", default={})  # noqa: B039 - never changed
FIELDS = "b2jobs_fields"
"""The name in `extra` under which a line's own fields come: job, kind, code, bytes, ..."""


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """What this thread logs while the context lasts has *fields*: job, batch, trace."""
    token = _about.set({name: text for name, text in fields.items() if text})
    try:
        yield
    finally:
        _about.reset(token)


def set_up(log_format: str, log_level: str, process: str) -> None:
    """Log from now on in *log_format* (text, json), from *log_level* up, as *process*."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if log_format == "json" else _Text(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level.upper())
    warnings.showwarning = _note_warning


def _note_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """What a library warns of, as one line at debug: it is for whoever writes programs.

    b2sdk warns of every 400 whose code it does not know, with all that the answer said; what that
    means for a job is the job's failure, which is told once and escaped.
    """
    del file, line
    where = f"{filename}:{lineno}"
    logging.getLogger("py.warnings").debug("%s: %s (%s)", category.__name__, message, where)


class _Text(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        own = (_second(int(record.created)), record.levelname, self._process, record.name)
        line = f"{' '.join(own)}: {printable(record.getMessage())}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n  {printable(each)}" for each in trace.split("\n"))
        return line


@lru_cache(maxsize=2)
def _second(when: int) -> str:
    # Lines come by the thousand a second, and the zone is looked up for each time.
    return f"{datetime.fromtimestamp(when).astimezone():%Y-%m-%dT%H:%M:%S%z}"


class _Json(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": printable(record.getMessage()),
            **_about.get(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=True, default=str)
