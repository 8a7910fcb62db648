"""`b2jobs delete`: one file as a job, all below a prefix as a batch."""

from __future__ import annotations

import sys
from typing import Any

import click

from b2jobs.batches import BatchHandle
from b2jobs.cli import batch_follow, follow, show
from b2jobs.cli.change import bypass_option
from b2jobs.cli.choosing import choosing_options, said
from b2jobs.cli.session import Session, pass_session, submit_options
from b2jobs.errors import JobCancelled, JobFailed
from b2jobs.prefix_jobs import is_prefix
from b2jobs.printable import printable
from b2jobs.requests.choosing import Choosing
from b2jobs.requests.job import Job

_WHAT = {"latest": "The newest version of each file", "all": "Every version of every file"}
_CHOOSING = Choosing.model_fields.keys() - Job.model_fields.keys()


@click.command()
@click.argument("target")
@click.option(
    "--versions",
    metavar="latest|all|ID",
    help="The newest version, every one, or the one with this id.  [default: latest]",
)
@choosing_options
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, on a terminal, before a prefix goes.")
@bypass_option
@submit_options()
@pass_session
def delete(
    session: Session,
    /,
    target: str,
    *,
    wait: bool,
    timeout: float | None,
    dry_run: bool,
    yes: bool,
    **arguments: Any,
) -> None:
    """Remove TARGET: a file, or all below a trailing /.

    Deleting what is not there succeeds. What is below a prefix goes as a batch, which `b2jobs
    batch watch|pause|cancel|report ID` follow and steer; what is uploaded meanwhile stays. Ages
    are told from the upload.

    \b
      b2jobs delete b2://some-bucket/remotefolder/remotefile.png --wait
      b2jobs delete b2://some-bucket/remotefolder/ --versions all --dry-run
      b2jobs delete b2://some-bucket/logs/ --min-age 90d --exclude '*.keep' --yes --wait
    """
    options = said(arguments)
    if dry_run:
        options["dry_run"] = True
    elif is_prefix(target) and not yes and sys.stdin.isatty():
        _ask(target, options)
    handle = session.client.delete(target, **options)
    if dry_run:
        _tell_plan(session, handle.wait(timeout))
    elif not wait and timeout is None:
        show.queued(session, handle.id)
    elif not isinstance(handle, BatchHandle):
        follow.finish(session, handle, timeout)
    elif session.json:
        _tell_end(handle, target, timeout)
    else:
        batch_follow.finish(session, handle, timeout)


def _ask(target: str, options: dict[str, Any]) -> None:
    what = _WHAT.get(options.get("versions", "latest"), "The version of that id")
    chosen = " that is chosen" if options.keys() & _CHOOSING else ""
    name = printable(target)
    click.confirm(f"{what} below {name}{chosen} will be removed. Go on?", abort=True, err=True)


def _tell_end(handle: BatchHandle, target: str, timeout: float | None) -> None:
    """The result of the batch, with what the removal of one file says."""
    try:
        result = handle.wait(timeout)
    except (JobFailed, JobCancelled):
        show.ended(handle.record())
        raise
    status = "deleted" if result.deleted else "unchanged"
    show.line({**result.as_json(), "uri": target, "deleted": result.deleted, "status": status})


def _tell_plan(session: Session, result: Any) -> None:
    if session.json:
        show.answer(session, result)
        return
    for line in result.planned:
        click.echo(printable(line))
    if result.items > len(result.planned):
        click.echo(f"... and {result.items - len(result.planned):,} more")
    told = result.model_dump(mode="json", include={"items", "size_bytes", "calls", "dollars"})
    show.fields(told)
