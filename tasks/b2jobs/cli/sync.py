"""`b2jobs sync`: make one side like the other."""

from __future__ import annotations

from typing import Any

import click

from b2jobs.cli import batch_follow, follow, show
from b2jobs.cli.attributes import (
    attribute_options,
    customer_key_option,
    source_account_option,
)
from b2jobs.cli.choosing import choosing_options, names_option, said
from b2jobs.cli.session import Session, pass_session, submit_options


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option(
    "--delete",
    type=click.Choice(["keep", "hide", "remove"]),
    help="What becomes of files the source has not.  [default: keep]",
)
@click.option(
    "--keep-days",
    type=float,
    metavar="DAYS",
    help="Hide them now, remove what has not been visible for so many days.",
)
@click.option(
    "--compare",
    type=click.Choice(["modtime", "size", "sha1", "none"]),
    help="How files are compared.  [default: modtime]",
)
@click.option(
    "--newer",
    type=click.Choice(["fail", "skip", "replace"]),
    help="What to do with a file that is newer in the destination.  [default: fail]",
)
@choosing_options
@names_option
@click.option(
    "--symlinks",
    type=click.Choice(["follow", "skip"]),
    help="Follow links that stay in the root, or skip all.  [default: follow]",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(0, min_open=True),
    metavar="DOLLARS",
    help="Pause before it costs more than this, by its dry run or by the meter.",
)
@click.option(
    "--max-delete",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Do nothing when more than this share of the destination would go.  [default: 0.5]",
)
@click.option("--allow-empty-source", is_flag=True, help="A source without files is no mistake.")
@click.option(
    "--overlap",
    type=click.Choice(["wait", "skip", "replace"]),
    help="While a sync of the same pair runs.  [default: wait]",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and what it costs; then exit.")
@attribute_options
@customer_key_option
@source_account_option
@submit_options(priority="low")
@pass_session
def sync(
    session: Session,
    /,
    source: str,
    destination: str,
    *,
    wait: bool,
    timeout: float | None,
    **arguments: Any,
) -> None:
    """Make DESTINATION like SOURCE; one of them is in B2, or both.

    A sync runs as a batch: `b2jobs batch watch|pause|report ID` follow and steer it.

    \b
      b2jobs sync data://nas/photos/ b2://archive/photos/ --dry-run
      b2jobs sync data://nas/photos/ b2://archive/photos/ --keep-days 30 --wait
      b2jobs sync b2://archive/photos/ data://nas/restored/
    """
    options = said(arguments)
    handle = session.client.sync(source, destination, **options)
    if options.get("dry_run"):
        with follow.going_on(f"job wait {handle.id}"):
            result = handle.wait(timeout)
        if session.json:
            show.answer(session, result)
            return
        for line in result.planned:
            show.say(line)
        for sample in handle.status().samples:
            show.say(f"refused  {sample}", err=True)
        show.fields(
            result.model_dump(mode="json", include={"items", "size_bytes", "compared", "dollars"})
        )
    elif wait or timeout is not None:
        batch_follow.finish(session, handle, timeout)
    else:
        show.queued(session, handle.id)
