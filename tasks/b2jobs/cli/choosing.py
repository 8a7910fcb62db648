"""Which files take part: the options of every command that is about many."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from b2jobs.cli.session import Duration

_UNIT_BYTES = {unit: 1024**power for power, unit in enumerate(("", "K", "M", "G", "T"))}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)

F = TypeVar("F", bound=Callable[..., Any])


class Size(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """Bytes, or a number with K, M, G or T behind it, 1,024 each: `500`, `1.5M`, `2GiB`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a size; write bytes, or 500K, 10M, 2G", param, ctx)
        return int(float(match[1]) * _UNIT_BYTES[match[2].upper()])


def choosing_options(command: F) -> F:
    """--include, --exclude, --min-age, --max-age, --min-size, --max-size."""
    for option in (
        click.option("--max-size", type=Size(), help="Only files that have at most so much."),
        click.option("--min-size", type=Size(), help="Only files of so many bytes, or 10M, 2G."),
        click.option("--max-age", type=Duration(), help="Only files changed within so long."),
        click.option(
            "--min-age", type=Duration(), help="Only files not changed for so long: 90s, 2h, 30d."
        ),
        click.option("--exclude", metavar="PATTERN", multiple=True, help="No files that match."),
        click.option("--include", metavar="PATTERN", multiple=True, help="Only files that match."),
    ):
        command = option(command)
    return command


_EITHER = ("legal_hold",)
"""Options of which "no" says something too."""


names_option = click.option(
    "--names",
    type=click.Choice(["report", "encode"]),
    help="Names that B2 or the disk refuses: report them, or write them another way that is read "
    "back.  [default: report]",
)


def said(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of a command's options, as requests take it; a flag only where it is set."""
    given = {
        name: list(each) if isinstance(each, tuple) else each for name, each in arguments.items()
    }
    return {
        name: each
        for name, each in given.items()
        if each is not None and (each is not False or name in _EITHER) and each != []
    }
