"""`b2jobs delete`: one file as a job, all below a prefix as a batch."""

from __future__ import annotations

import sys
from typing import Any

import click

from b2jobs import locations
from b2jobs.batches import BatchHandle
from b2jobs.cli import batch_follow, follow, show
from b2jobs.cli.change import bypass_option
from b2jobs.cli.choosing import choosing_options, said
from b2jobs.cli.session import Session, pass_session, submit_options
from b2jobs.errors import InvalidJob, JobCancelled, JobFailed
from b2jobs.locations import B2File, InvalidLocation
from b2jobs.printable import printable

_WHAT = {"latest": "The newest version of each file", "all": "Every version of every file"}


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
    if not _is_prefix(target):
        _refuse_choosing(options, dry_run)
        follow.submit(session, "delete", target=target, wait=wait, timeout=timeout, **options)
        return
    versions = options.pop("versions", "latest")
    if not yes and not dry_run and sys.stdin.isatty():
        what = _WHAT.get(versions, "The version of that id")
        chosen = " that is chosen" if len(options) > len(options.keys() & _OF_EVERY_JOB) else ""
        name = printable(target)
        click.confirm(f"{what} below {name}{chosen} will be removed. Go on?", abort=True, err=True)
    handle = session.client.batch_delete(target, versions, dry_run=dry_run, **options)
    if dry_run:
        _tell_plan(session, handle.wait(timeout))
    elif not wait and timeout is None:
        show.queued(session, handle.id)
    elif session.json:
        _tell_end(handle, target, timeout)
    else:
        batch_follow.finish(session, handle, timeout)


_OF_EVERY_JOB = {"account", "key", "priority", "retry", "expires", "on_done"}


def _is_prefix(target: str) -> bool:
    try:
        location = locations.parse(target)
    except InvalidLocation:
        return False  # whoever validates the request says what is wrong
    return isinstance(location, B2File) and location.is_prefix


def _refuse_choosing(options: dict[str, Any], dry_run: bool) -> None:
    for name in ("include", "exclude", "min_age", "max_age", "min_size", "max_size"):
        if name in options or dry_run:
            option = "dry-run" if dry_run else name.replace("_", "-")
            raise InvalidJob(
                f"--{option} goes with a prefix, and the target names one file.",
                hint="End it with '/' for all that is below it.",
                field="dry_run" if dry_run else name,
            )


def _tell_end(handle: BatchHandle, target: str, timeout: float | None) -> None:
    """The result of the batch, with what the removal of one file says."""
    try:
        result = handle.wait(timeout)
    except (JobFailed, JobCancelled):
        show.ended(handle.record())
        raise
    deleted = result.outcomes.get("deleted", 0)
    own = {"uri": target, "deleted": deleted, "status": "deleted" if deleted else "unchanged"}
    show.line({**result.as_json(), **own})


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
