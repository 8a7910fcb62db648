"""`b2jobs bucket`: create, update, delete and list buckets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from b2jobs.cli import follow
from b2jobs.cli.session import Session, pass_session, submit_options


def _lifecycle(ctx: click.Context, param: click.Parameter, text: str | None) -> Any:
    """The rules as data, from JSON or from a file named behind @."""
    if text is None:
        return None
    try:
        rules = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), ctx, param) from error
    if not isinstance(rules, list):
        raise click.BadParameter("the rules are a JSON list of objects", ctx, param)
    return rules


_type_option = click.option(
    "--type",
    type=click.Choice(["private", "public"]),
    help="Whether files open without an authorization.  [default for a new one: private]",
)
_lifecycle_option = click.option(
    "--lifecycle",
    metavar="JSON|@FILE",
    callback=_lifecycle,
    help='Lifecycle rules: [{"fileNamePrefix": "tmp/", "daysFromUploadingToHiding": 1, ...}].',
)


@click.group()
def bucket() -> None:
    """Create, update, delete and list buckets."""


@bucket.command()
@click.argument("name")
@_type_option
@_lifecycle_option
@submit_options()
@pass_session
def create(session: Session, /, **arguments: Any) -> None:
    """Create the bucket NAME. One of yours that is there already is left as it is."""
    follow.submit(session, "bucket", action="create", **arguments)


@bucket.command()
@click.argument("name")
@_type_option
@_lifecycle_option
@submit_options()
@pass_session
def update(session: Session, /, **arguments: Any) -> None:
    """Change the type or the lifecycle rules of the bucket NAME."""
    follow.submit(session, "bucket", action="update", **arguments)


@bucket.command()
@click.argument("name")
@submit_options()
@pass_session
def delete(session: Session, /, **arguments: Any) -> None:
    """Delete the bucket NAME, which must be empty.

    `b2jobs delete b2://NAME/ --versions all` empties it.
    """
    follow.submit(session, "bucket", action="delete", **arguments)


@bucket.command(name="list")
@submit_options(wait=True)
@pass_session
def list_(session: Session, /, **arguments: Any) -> None:
    """Print the buckets that the key may see, with their type."""
    follow.submit(session, "bucket", action="list", **arguments)
