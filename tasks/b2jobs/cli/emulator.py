"""`b2jobs emulator`: a B2 on this machine."""

from __future__ import annotations

import click

from b2jobs.cli import extras


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def emulator(arguments: tuple[str, ...]) -> None:
    """Run a B2 on this machine, for trying and for tests.

    \b
      b2jobs emulator --port 8080 --data DIR --bucket some-bucket
      b2jobs emulator --help
    """
    extras.need("emulator")
    extras.become("b2emulator", *arguments)
