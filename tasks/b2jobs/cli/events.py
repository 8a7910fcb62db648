"""`b2jobs events`: what happens to jobs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import click

from b2jobs.cli import show
from b2jobs.cli.exits import complain
from b2jobs.cli.session import Session, common_options, pass_session
from b2jobs.errors import QueueUnavailable
from b2jobs.event_stream import NOW, Event, EventReader, latest, pages
from b2jobs.redis.values import whole
from b2jobs.requests import PUBLIC_KINDS

_PAUSE_SECONDS = 1.0


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--after", metavar="ID", help="Only what came behind the event ID.")
@click.option(
    "--kind", type=click.Choice(PUBLIC_KINDS), multiple=True, help="Only these; may be repeated."
)
@click.option("--job", "--batch", "job", metavar="ID", help="Only of this job, batch or sync.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Without --after: begin with so many that are kept.",
)
@common_options
@pass_session
def events(
    session: Session,
    follow: bool,
    after: str | None,
    kind: tuple[str, ...],
    job: str | None,
    limit: int,
) -> None:
    """Print what happened to jobs, and with --follow what happens.

    Parts of a batch are not told one by one; a batch tells how far it is once a second at most.
    The ID of an event stands first on its line with --json: `--after ID` goes on behind it.
    """
    records = session.client.records
    reader = EventReader(records, after or NOW, kinds=kind, job=job)
    if after is None:
        if follow:
            reader.read()  # from here on nothing is passed over; what it prints twice it skips
        found = latest(records, limit, kinds=kind, job=job)
        _print(session, found)
        printed = {each.id for each in found}
    else:
        printed = set()
    if after is None and not follow:
        return
    while True:
        try:
            for page in pages(reader, follow=follow):
                _print(session, (each for each in page if each.id not in printed))
            return
        except QueueUnavailable as error:
            if not follow:
                raise
            complain(f"{error} Trying again.")
            time.sleep(_PAUSE_SECONDS)


def _print(session: Session, found: Iterable[Event]) -> None:
    for event in found:
        if session.json:
            show.line(event.as_json())
        else:
            text = (show.moment(event.at), event.kind, event.job, event.event, _said(event))
            show.say("  ".join(text).rstrip())
    sys.stdout.flush()


def _said(event: Event) -> str:
    """The details in a few words."""
    known = event.details
    match event.event:
        case "ended" | "refused":
            return " ".join(str(known[name]) for name in ("state", "code") if name in known)
        case "waiting":
            code = f", {known['code']}" if known.get("code") else ""
            return f"{known.get('reason', '?')}{code}, until {known.get('until', '?')}"
        case "started":
            attempt = whole(known.get("attempt"))
            return f"attempt {attempt}" if attempt > 1 else ""
        case "progress":
            done, items, moved = (whole(known.get(n)) for n in ("finished", "items", "bytes"))
            return f"{done:,} of {items:,} items, {show.size(moved)}"
        case "missed":
            return "older events are not kept any more"
        case _:
            return ""
