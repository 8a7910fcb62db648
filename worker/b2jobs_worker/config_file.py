"""The config file: what is wrong with it, or with the settings in it, in one sentence."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from b2jobs import redis_url
from b2jobs.config_file import read
from b2jobs.errors import OperatorError
from b2jobs_worker import variables


def check(path: Path, known: Collection[str]) -> None:
    """Refuse a file that cannot be read, that everybody may change, or with settings not *known*.

    Raises:
        OperatorError: `config_invalid`, `config_exposed`
    """
    content = read(path)
    unknown = sorted(set(content) - set(known) - {"console"})  # it reads its own
    if unknown:
        told = [name + variables.meant(name, known) for name in unknown]
        raise OperatorError(
            "config_invalid",
            f"The config file {path} has unknown settings: {', '.join(told)}.",
            hint=f"Known are {', '.join(sorted(known))}.",
        )


def refused(error: ValidationError, where: str) -> OperatorError:
    """The first setting that pydantic refused; *where* is the file to correct."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "settings"
    said = f"The setting {field} is refused: {first['msg']}{_given(first['input'])}."
    if field == "redis_url":
        said = str(first["ctx"]["error"])  # it says all of it, without passwords
    hint = f"Set B2JOBS_{field.upper().replace('.', '__')} or correct {where}."
    return OperatorError("config_invalid", said, hint=hint)


def _given(value: object) -> str:
    """A single value that was refused, never a password: a table of settings has some."""
    if isinstance(value, str):
        return f" (given: {redis_url.shown(value) if '://' in value else value!r})"
    return f" (given: {value!r})" if isinstance(value, int | float) else ""
