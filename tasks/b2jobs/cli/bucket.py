"""`b2jobs bucket`: create, update, show, delete and list buckets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from b2jobs.cli import follow
from b2jobs.cli.session import Session, pass_session, submit_options

F = TypeVar("F", bound=Callable[..., Any])


def _rules(ctx: click.Context, param: click.Parameter, text: str | None) -> Any:
    """The rules as data, from JSON or from a file named behind @."""
    if text is None:
        return None
    kind = dict if param.name == "replication" else list
    try:
        rules = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), ctx, param) from error
    if not isinstance(rules, kind):
        what = "object" if kind is dict else "list of objects"
        raise click.BadParameter(f"the rules are a JSON {what}", ctx, param)
    return rules


def _info(ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]) -> Any:
    told = dict(pair.partition("=")[::2] for pair in pairs)
    if any("=" not in pair for pair in pairs):
        raise click.BadParameter("write NAME=VALUE", ctx, param)
    return told if pairs else None


def _settings(command: F) -> F:
    """What a bucket can carry; docs/buckets.md shows the JSON of each."""
    for option in (
        click.option(
            "--info",
            metavar="NAME=VALUE",
            multiple=True,
            callback=_info,
            help="The bucket's own info, such as cache-control=max-age=3600; may be repeated.",
        ),
        click.option(
            "--notifications",
            metavar="JSON|@FILE",
            callback=_rules,
            help="Event notification rules. Secrets are written secret:NAME.",
        ),
        click.option(
            "--replication",
            metavar="JSON|@FILE",
            callback=_rules,
            help="Replication as source, destination or both; {} ends it.",
        ),
        click.option(
            "--cors", metavar="JSON|@FILE", callback=_rules, help="CORS rules; [] removes them."
        ),
        click.option(
            "--retention",
            metavar="MODE:TIME",
            help="Default retention: none, governance:30d, compliance:7y.",
        ),
        click.option("--lock", is_flag=True, default=None, help="Switch Object Lock on, for good."),
        click.option(
            "--encryption",
            type=click.Choice(["SSE-B2", "none"], case_sensitive=False),
            help="Default encryption of new files.",
        ),
        click.option(
            "--lifecycle",
            metavar="JSON|@FILE",
            callback=_rules,
            help='Lifecycle rules: [{"fileNamePrefix": "tmp/", "daysFromUploadingToHiding": 1}].',
        ),
        click.option(
            "--type",
            type=click.Choice(["private", "public"]),
            help="Whether files open without an authorization.  [default for a new one: private]",
        ),
    ):
        command = option(command)
    return command


@click.group()
def bucket() -> None:
    """Create, update, show, delete and list buckets."""


@bucket.command()
@click.argument("name")
@_settings
@submit_options()
@pass_session
def create(session: Session, /, **arguments: Any) -> None:
    """Create the bucket NAME. One of yours that is there already is left as it is."""
    follow.submit(session, "bucket", action="create", **arguments)


@bucket.command()
@click.argument("name")
@_settings
@click.option(
    "--if-revision",
    metavar="N",
    type=click.IntRange(min=0),
    help="Only while `bucket show` gives this revision; else the job fails with conflict.",
)
@submit_options()
@pass_session
def update(session: Session, /, **arguments: Any) -> None:
    """Change settings of the bucket NAME. What is not named stays as it is."""
    follow.submit(session, "bucket", action="update", **arguments)


@bucket.command()
@click.argument("name")
@submit_options(wait=True)
@pass_session
def show(session: Session, /, **arguments: Any) -> None:
    """Print all that the bucket NAME carries.

    With --json in the form in which create and update take it.
    """
    follow.submit(session, "bucket", action="show", **arguments)


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
