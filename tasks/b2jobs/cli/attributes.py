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
    click.option(
        "--encryption",
        metavar="SSE-B2|SSE-C:NAME|default",
        help="By B2, or with the customer's key NAME of the workers' secrets file.",
    ),
    click.option(
        "--retention",
        type=click.Choice(["governance", "compliance", "none"]),
        help="Nobody removes the file before --retain-until or --retain-for.",
    ),
    click.option("--retain-until", metavar="TIME", help="2044-12-01T16:00:00Z, or a day."),
    click.option("--retain-for", metavar="LENGTH", help="From when it is made: 12h, 30d, 7y."),
    click.option(
        "--legal-hold/--no-legal-hold", default=None, help="Nobody removes it while it is held."
    ),
)

customer_key_option = click.option(
    "--customer-key",
    metavar="NAME",
    help="The key of the workers' secrets file that reads files in B2 (SSE-C).",
)

source_account_option = click.option(
    "--source-account",
    metavar="NAME",
    help="Whose key reads a source in B2, where --account names another that writes.",
)


def attribute_options(command: F) -> F:
    """What the files that *command* makes are to carry."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
