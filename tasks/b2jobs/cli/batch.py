"""`b2jobs batch`: submit many transfers as one, follow and steer them, prove what was done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import click

from b2jobs import manifest
from b2jobs.cli import batch_follow, batch_manifest, follow, show
from b2jobs.cli.attributes import (
    attribute_options,
    customer_key_option,
    source_account_option,
)
from b2jobs.cli.choosing import choosing_options, names_option, said
from b2jobs.cli.exits import complain
from b2jobs.cli.session import Duration, Session, common_options, pass_session, submit_options
from b2jobs.errors import Failure, InvalidJob, JobFailed
from b2jobs.ledger import report_text
from b2jobs.printable import printable
from b2jobs.reports import csv_lines
from b2jobs.requests import ENDED, State

_LOOKED_AT = 10_000


@click.group()
def batch() -> None:
    """Run many transfers as one job, and follow it."""


@batch.command()
@click.argument("source")
@click.argument("destination", required=False)
@choosing_options
@names_option
@click.option(
    "--if-exists",
    type=click.Choice(["version", "skip", "fail", "replace"]),
    help="As for single jobs.",
)
@click.option("--dry-run", is_flag=True, help="Count files, bytes, calls and dollars; then exit.")
@click.option(
    "--max-cost",
    type=click.FloatRange(0, min_open=True),
    metavar="DOLLARS",
    help="Pause before it costs more than this, by its dry run or by the meter.",
)
@click.option("--strict", is_flag=True, help="Move nothing when any line cannot be done.")
@attribute_options
@customer_key_option
@source_account_option
@submit_options(priority="low")
@pass_session
def submit(
    session: Session,
    /,
    source: str,
    destination: str | None,
    *,
    wait: bool,
    timeout: float | None,
    dry_run: bool,
    **arguments: Any,
) -> None:
    """Submit a batch: a manifest, or everything below SOURCE to DESTINATION.

    A manifest is CSV (with a header: source, destination, size, sha1, content_type, info,
    cache_control, ...) or JSON lines, plain or compressed (.gz, .bz2, .xz). A path without a
    scheme is a file on this machine, `-` is stdin: its lines are checked here and streamed to
    the workers. What comes from a pipe is kept in a temporary file meanwhile.

    \b
      b2jobs batch submit data://nas/photos/ b2://archive/photos/ --dry-run
      b2jobs batch submit data://nas/list.csv.gz --wait
      b2jobs batch submit ./list.jsonl --if-exists skip
    """
    options = said({**arguments, "dry_run": dry_run})
    if destination is None and "://" not in source:
        handle = batch_manifest.submit(session, source, options)
    else:
        handle = session.client.batch(source, destination, **options)
    if wait or dry_run or timeout is not None:
        batch_follow.finish(session, handle, timeout)
    else:
        show.queued(session, handle.id)


@batch.command(name="list")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Of each state at most."
)
@common_options
@pass_session
def list_(session: Session, limit: int) -> None:
    """Print batches and syncs, those under way first."""
    client = session.client
    kinds = ("batch", "sync")
    states: tuple[State, ...] = ("running", "waiting", "queued", "failed", "succeeded", "cancelled")
    rows: list[tuple[str, ...]] = []
    for state in states:
        listed = (
            each for each in client.records.listed(state, limit=_LOOKED_AT) if each.kind in kinds
        )
        for record in islice(listed, limit):
            found = client.batch_job(record.id).status()
            if session.json:
                show.line(found.as_json())
                continue
            items = f"{found.finished_items:,} of {found.items:,}"
            what, age = show.what(record), show.age(record.created)
            own = (record.id, record.kind, found.state, age)
            rows.append((*own, items, f"{found.failed_items:,}", what))
    if not session.json:
        columns = ("ID", "KIND", "STATE", "AGE", "ITEMS", "FAILED", "WHAT")
        show.listing(columns, rows, "There are no batches or syncs.")


@batch.command(name="show")
@click.argument("batch_id", metavar="ID")
@common_options
@pass_session
def show_(session: Session, batch_id: str) -> None:
    """Print counters, progress, failures by code and the reason of any waiting.

    Of a dry run it prints the plan, and names what cannot be done.
    """
    handle = session.client.batch_job(batch_id)
    status, planned = handle.status(), batch_follow.dry_run(handle.record())
    if session.json:
        more = {"dry_run": planned.as_json()} if planned is not None else {}
        show.line({**status.as_json(), **more})
    elif planned is not None:
        batch_follow.show_plan(planned, status.samples)
    else:
        show.fields({name: value for name, value in status.as_json().items() if value})


@batch.command()
@click.argument("batch_id", metavar="ID")
@click.option("--timeout", type=Duration(), help="Watch this long at most; then exit 4.")
@common_options
@pass_session
def watch(session: Session, batch_id: str, timeout: float | None) -> None:
    """Follow the batch ID to its end: files, bytes, rate, time left, failures.

    With --json a line is printed whenever something changes.
    """
    batch_follow.finish(session, session.client.batch_job(batch_id), timeout)


@batch.command()
@click.argument("batch_id", metavar="ID")
@common_options
@pass_session
def pause(session: Session, batch_id: str) -> None:
    """Begin nothing more; what is under way ends, or stops where it can go on later."""
    _say(session, batch_id, session.client.batch_job(batch_id).pause(), "paused")


@batch.command()
@click.argument("batch_id", metavar="ID")
@click.option(
    "--max-cost",
    type=click.FloatRange(0, min_open=True),
    metavar="DOLLARS",
    help="What it may cost now, with what it has cost.",
)
@common_options
@pass_session
def resume(session: Session, batch_id: str, max_cost: float | None) -> None:
    """Go on with a paused batch. One that was paused for its cost needs a higher --max-cost."""
    state = session.client.batch_job(batch_id).resume(max_cost=max_cost)
    _say(session, batch_id, state, "resumed")


@batch.command()
@click.argument("batch_id", metavar="ID")
@common_options
@pass_session
def cancel(session: Session, batch_id: str) -> None:
    """End the batch: nothing more is begun, what is unfinished is removed.

    What is done stays done and in the ledger; `retry` goes on with the rest.
    """
    _say(session, batch_id, session.client.batch_job(batch_id).cancel(), "cancelled")


@batch.command()
@click.argument("batch_id", metavar="ID")
@click.option("--failed", is_flag=True, help="Only what failed, not what was not planned yet.")
@click.option("--code", metavar="CODE", multiple=True, help="Only what failed with this code.")
@common_options
@pass_session
def retry(session: Session, batch_id: str, failed: bool, code: tuple[str, ...]) -> None:
    """Run an ended batch again: what failed or was cancelled."""
    handle = session.client.batch_job(batch_id)
    state = handle.retry(only_failed=failed or bool(code), codes=code)
    _say(session, batch_id, state, "queued")


@batch.command()
@click.argument("batch_id", metavar="ID")
@click.option("--csv", "as_csv", is_flag=True, help="CSV instead of JSON lines; no summary.")
@click.option("--failed", is_flag=True, help="Only what failed; no summary.")
@common_options
@pass_session
def report(session: Session, batch_id: str, as_csv: bool, failed: bool) -> None:
    """Write one line an item to stdout, and a summary with a digest over all lines.

    \b
      b2jobs batch report ID > report.jsonl
    """
    handle = session.client.batch_job(batch_id)
    state = handle.status().state
    if state not in ENDED:
        complain(f"The batch is {state}: this report is not complete.")
    lines = handle.lines()
    if failed:
        lines = (line for line in lines if line.get("status") == "failed")
    if as_csv:
        texts = csv_lines(lines)
    else:
        texts = (report_text(line) for line in lines) if failed else handle.report()
    for text in texts:  # to the byte, unless it is a person who reads it
        click.echo(printable(text) if sys.stdout.isatty() else text)


@batch.command()
@click.argument("report_file", metavar="REPORT", type=click.File("rb"))
@click.option("--prefix", metavar="B2URI", help="Also look for files below it that it lacks.")
@click.option("--account", metavar="NAME", help="Which credentials of the workers to use.")
@click.option("--timeout", type=Duration(), help="Wait this long at most; then exit 4.")
@common_options
@pass_session
def verify(
    session: Session,
    report_file: IO[bytes],
    prefix: str | None,
    account: str | None,
    timeout: float | None,
) -> None:
    """Check REPORT against B2 by listing only: sizes, SHA-1s, file ids.

    Exit 0 when all agrees, 1 when something is missing, different or extra. REPORT is the
    JSON form; `-` reads stdin.
    """
    job = session.client.verify(_texts(report_file), prefix=prefix, account=account or "default")
    with follow.going_on(f"job wait {job.id}"):
        found = job.wait(timeout)
    if session.json:
        show.line(found.as_json())
    else:
        for sample in found.samples:
            differs = sample.get("differs")
            show.say(f"{sample['what']}  {sample['file']}{f'  {differs}' if differs else ''}")
        click.echo(
            f"{found.checked} files checked: {found.missing} missing, "
            f"{found.different} different, {found.extra} extra."
        )
    if not found.agrees:
        raise JobFailed(
            Failure(
                code="report_differs",
                message="B2 is not as the report says.",
                hint="Run the batch again for the files named above.",
                act="caller",
            ),
            job.id,
        )


def _texts(file: IO[bytes]) -> Iterator[str]:
    """The lines of a report, none of which may be longer than those of a manifest."""
    for line in manifest.lines(file, "report"):
        try:
            if len(line.raw) > manifest.MOST_LINE_BYTES:
                raise ValueError("too long")
            yield line.raw.decode()
        except ValueError as error:
            raise InvalidJob(
                f"Line {line.number} of the report cannot be read: {error}.", code="report_invalid"
            ) from error


def _say(session: Session, batch_id: str, state: State, done: str) -> None:
    word = state if state in ("succeeded", "failed", "cancelled") else done
    if session.json:
        show.line({"batch": batch_id, "state": word})
    else:
        show.say(f"{batch_id}  {word}")
