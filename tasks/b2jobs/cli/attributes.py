"""Options that say what a file in B2 carries: the same for every command that makes files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _info(ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]) -> Any:
    """KEY=VALUE pairs as a dictionary; None when there are none."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", ctx, param)
        found[name] = value
    return found or None


_OPTIONS = (
    click.option("--content-type", metavar="TYPE", help="[default: B2 goes by the name]"),
    click.option(
        "--info",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_info,
        help="File info to keep with the file; may be given up to 8 times.",
    ),
    click.option(
        "--cache-control", metavar="TEXT", help="A header B2 sends with the file; '' for none."
    ),
    click.option("--content-disposition", metavar="TEXT", help="As --cache-control."),
    click.option("--content-encoding", metavar="TEXT", help="As --cache-control."),
    click.option("--content-language", metavar="TEXT", help="As --cache-control."),
    click.option(
        "--content-expires", metavar="TIME", help="The header Expires: 2044-12-01T16:00:00Z."
    ),
)


def attribute_options(command: F) -> F:
    """What the files that *command* makes are to carry."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
