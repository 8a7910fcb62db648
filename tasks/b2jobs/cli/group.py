"""A command group that imports a command when it is used, and lists its commands by section."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from inspect import cleandoc
from typing import Any

import click

_ALL_LINES = re.DOTALL | re.MULTILINE

Table = Mapping[str, Mapping[str, str]]
"""Section title -> command name -> `module:attribute`."""


class OutputClosed(Exception):
    """Whoever read what a command prints has enough (`| head`). Click would exit with 1."""


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosed from error


class LazyGroup(click.Group):
    """The commands of *table*. `b2jobs upload` imports nothing of the other commands."""

    def __init__(self, *arguments: Any, table: Table, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.table = table

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _reader_may_leave():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for section in self.table.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        for section in self.table.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name].partition(":")
                command = getattr(import_module(module), attribute)
                assert isinstance(command, click.Command)
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            # Click looks for similar names among the commands that are loaded: none.
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not close or args[0].startswith("-"):
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        limit = formatter.width - 6 - width
        for title, section in self.table.items():
            rows = []
            for name, where in section.items():
                command = documented(where) or self.get_command(ctx, name)
                assert command is not None
                rows.append((name.ljust(width), command.get_short_help_str(limit)))
            with formatter.section(title):
                formatter.write_dl(rows)


def documented(where: str) -> click.Command | None:
    """A stand-in with the docstring of the command at *where*, read from its source, unimported.

    None where that does not tell: there is no source, or the function has none.
    """
    module, _, attribute = where.partition(":")
    spec = find_spec(module)
    source = getattr(spec and spec.loader, "get_source", lambda _: None)(module)
    found = re.search(
        rf'^def {attribute}\([^"]*?\) -> [^"]*?:\n    """(.*?)"""', source or "", _ALL_LINES
    )
    return click.Command(attribute, help=cleandoc(found[1])) if found else None
