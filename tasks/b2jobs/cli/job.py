"""`b2jobs job`: look at jobs, follow them, stop them, run them again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import get_args

import click

from b2jobs import listing
from b2jobs.batch_status import as_it_stands
from b2jobs.cli import follow, show
from b2jobs.cli.exits import USAGE, complain, sentence
from b2jobs.cli.session import Duration, Session, common_options, pass_session
from b2jobs.errors import InvalidJob
from b2jobs.handle import outcome, until
from b2jobs.records import Record, Records
from b2jobs.requests import ENDED, PUBLIC_KINDS, State
from b2jobs.requests.kinds import INTERNAL

_ORDER: tuple[State, ...] = ("running", "waiting", "queued", "failed", "succeeded", "cancelled")
_EVERYTHING = 10_000_000
_BATCHES = ("batch", "sync")
_PAGE = 100


@click.group()
def job() -> None:
    """List, show, follow, cancel and retry jobs."""


@job.command(name="list")
@click.option(
    "--state",
    type=click.Choice(get_args(State)),
    multiple=True,
    help="Only these; may be repeated.",
)
@click.option("--kind", type=click.Choice(PUBLIC_KINDS), help="Only jobs of this kind.")
@click.option("--code", metavar="CODE", help="Only jobs that failed with this code.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Of each state at most."
)
@common_options
@pass_session
def list_(
    session: Session, state: tuple[State, ...], kind: str | None, code: str | None, limit: int
) -> None:
    """Print jobs, the latest of each state first.

    Ended jobs are listed as long as their records are kept: a day, failed ones a week.
    """
    records = session.client.records
    found: list[Record] = []
    for shelf in state or (("failed",) if code else _ORDER):
        wanted = (
            record
            for record in _in_state(records, shelf, _EVERYTHING if code or kind else limit)
            if record.kind not in INTERNAL
            and kind in (None, record.kind)
            and (code is None or _failed_with(record, code))
        )
        found += islice(wanted, limit)
    if session.json:
        for record in found:
            show.line(record.as_json(is_listed=True))
        return
    rows = [
        (
            record.id,
            record.kind,
            record.state,
            show.age(record.ended or record.started or record.created),
            show.why(record) if record.state != "queued" else records.waiting_for(record),
            _share(record),
            show.what(record),
        )
        for record in found
    ]
    show.listing(
        ("ID", "KIND", "STATE", "AGE", "WHY", "DONE", "WHAT"), rows, "There are no such jobs."
    )


def _in_state(records: Records, state: State, limit: int) -> Iterator[Record]:
    """The jobs in *state*, the latest first; batches where `batch show` says that they are."""
    found = records.listed(state, limit=limit)
    if state in ENDED:
        return found
    batches = (as_it_stands(records, each) for each in _open_batches(records))
    moved = [each for each in batches if each.state == state]
    others = (each for each in found if each.kind not in _BATCHES)
    return merge(moved, others, key=_created, reverse=True)


def _open_batches(records: Records) -> Iterator[Record]:
    """Batches and syncs that have not ended, the latest first."""
    after = ""
    while True:
        page = listing.page(records, "batches", after=after, limit=_PAGE)
        for record in page.records:
            if record.has_ended:
                return
            yield record
        if not (after := page.after):
            return


def _created(record: Record) -> float:
    return record.created.timestamp() if record.created else 0.0


def _share(record: Record) -> str:
    done, total = record.progress.get("done"), record.progress.get("total")
    return f"{done / total:.0%}" if record.state == "running" and done and total else ""


@job.command(name="show")
@click.argument("job_id", metavar="ID")
@common_options
@pass_session
def show_(session: Session, job_id: str) -> None:
    """Print all that is known of the job ID."""
    records = session.client.records
    record = as_it_stands(records, records.get(job_id))
    data = record.as_json()
    reason = records.waiting_for(record)
    if reason:
        data["reason"] = reason
    if session.json:
        show.line(data)
    else:
        show.fields(data)


@job.command()
@click.argument("job_id", metavar="ID")
@click.option("--timeout", type=Duration(), help="Wait this long at most; then exit 4.")
@common_options
@pass_session
def wait(session: Session, job_id: str, timeout: float | None) -> None:
    """Wait for the end of the job ID and print its result."""
    follow.finish(session, session.client.job(job_id), timeout)


@job.command()
@click.argument("job_id", metavar="ID")
@click.option("--timeout", type=Duration(), help="Watch this long at most; then exit 4.")
@common_options
@pass_session
def watch(session: Session, job_id: str, timeout: float | None) -> None:
    """Print a line whenever the job ID changes, until it ends.

    On a terminal the line is drawn over. With --json each line is the record.
    """
    handle = session.client.job(job_id)
    if not session.json and sys.stdout.isatty():
        follow.finish(session, handle, timeout)
        return
    last: Record | None = None

    def look() -> Record | None:
        nonlocal last
        record = handle.record()
        if record != last:
            last = record
            if session.json:
                show.line(record.as_json())
            else:
                ended = record.has_ended
                show.say(record.state if ended else follow.describe(record, handle.reason()))
            sys.stdout.flush()
        return record if record.has_ended else None

    outcome(until(look, timeout, f"The job {job_id}"))


@job.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@common_options
@pass_session
def cancel(session: Session, job_ids: tuple[str, ...]) -> None:
    """Cancel jobs; print each with its state.

    One that has not started never will. A running one stops within two seconds and removes
    what it has begun. One that has ended stays as it is.
    """
    for job_id in job_ids:
        state = session.client.job(job_id).cancel()
        if session.json or state in ENDED:
            _say(session, job_id, state)
        else:
            show.say(f"{job_id}  {state}, will be cancelled")


@job.command()
@click.argument("job_ids", metavar="[ID...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every job that failed.")
@click.option("--code", metavar="CODE", help="Every job that failed with this code.")
@common_options
@pass_session
def retry(session: Session, job_ids: tuple[str, ...], everything: bool, code: str | None) -> None:
    """Queue failed or cancelled jobs again, with their time for retries anew.

    Name them, or take all that failed, or all that failed with one code. Prints each with
    its state; jobs that did not fail are left alone. Exits with 2 when the bytes that came with
    one of them are gone; the others are queued.
    """
    if sum(map(bool, (job_ids, everything, code))) != 1:
        raise click.UsageError("Give job ids, or --all, or --code CODE.")
    records = session.client.records
    if not job_ids:
        failed = records.listed("failed", limit=_EVERYTHING)
        job_ids = tuple(
            record.id for record in failed if code is None or _failed_with(record, code)
        )
    refused = 0
    for job_id in job_ids:
        try:
            _say(session, job_id, records.retry(job_id))
        except InvalidJob as error:  # its bytes are gone: the others have theirs
            complain(f"{job_id}: {sentence(error)}")
            refused += 1
    if refused:
        click.get_current_context().exit(USAGE)


def _failed_with(record: Record, code: str) -> bool:
    return record.failure is not None and record.failure.code == code


def _say(session: Session, job_id: str, state: State) -> None:
    if session.json:
        show.line({"job": job_id, "state": state})
    else:
        show.say(f"{job_id}  {state}")
