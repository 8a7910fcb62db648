"""`b2jobs schedule`: jobs that are submitted again and again."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from b2jobs.cli import follow, show
from b2jobs.cli.session import (
    Duration,
    Session,
    common_options,
    pass_session,
)
from b2jobs.schedule import define
from b2jobs.schedules import Schedules, unknown

_NEXT_RUNS = 5
_RUNS = ("SLOT", "STATE", "JOB", "RESULT")


@click.group()
def schedule() -> None:
    """List, show, add, remove, pause and run jobs on a schedule."""


@schedule.command(name="list")
@common_options
@pass_session
def list_(session: Session) -> None:
    """Show every schedule with its next run and how its last one ended.

    With --json each line has the last ten runs, with results.
    """
    rows = []
    for listed in Schedules(session.client.records).listed():
        found = listed.as_json()
        if session.json:
            show.line(found)
            continue
        last = (found["runs"] or [{}])[0]
        rows.append(
            (
                listed.schedule.name,
                _when(found),
                listed.schedule.job,
                "paused" if found.get("paused") else _moment(found["next"]) or "never",
                _moment(last.get("slot")) or "-",
                _ended(last),
            )
        )
    if not session.json:
        columns = ("NAME", "WHEN", "JOB", "NEXT", "LAST", "RESULT")
        show.listing(columns, rows, "There are no schedules. `b2jobs schedule add` makes one.")


@schedule.command(name="show")
@click.argument("name")
@common_options
@pass_session
def show_(session: Session, name: str) -> None:
    """Print the schedule NAME: what it runs and when, its next runs and the last ten."""
    listed = Schedules(session.client.records).get(name)
    found = listed.as_json()
    upcoming = listed.next_runs(_NEXT_RUNS)
    if session.json:
        show.line({**found, "next_runs": [due.isoformat() for due in upcoming]})
        return
    runs = found.pop("runs")
    found.pop("next")
    paused = (
        "no run begins by itself until `b2jobs schedule resume`" if listed.status.paused else ""
    )
    show.fields({**found, **({"paused": paused} if paused else {})})
    for due in upcoming:
        click.echo(f"next  {show.moment(due)}")
    if not upcoming and not paused:
        click.echo("next  never")
    click.echo()
    rows = ((_moment(run["slot"]), run["state"], run.get("job", "-"), _ended(run)) for run in runs)
    show.listing(_RUNS, rows, "It has not run yet.")


@schedule.command()
@click.argument("name")
@click.argument("job")
@click.argument("arguments", nargs=-1, metavar="[ARGUMENT=VALUE]...")
@click.option("--cron", metavar="EXPRESSION", help="Five fields, as Debian's cron has them.")
@click.option("--every", type=Duration(), help="An interval, counted from 1970: 15m, 1h.")
@click.option("--timezone", metavar="ZONE", help="Of the cron expression.  [default: UTC]")
@click.option("--jitter", type=Duration(), help="Up to so much later, different for each run.")
@click.option(
    "--missed",
    type=click.Choice(["skip", "run"]),
    help="After a time without workers: skip what was missed, or run it once.  [default: skip]",
)
@click.option(
    "--overlap",
    type=click.Choice(["skip", "wait", "replace"]),
    help="While the run before goes on.  [default: skip]",
)
@common_options
@pass_session
def add(
    session: Session, /, name: str, job: str, arguments: tuple[str, ...], **options: Any
) -> None:
    """Add the schedule NAME, or replace it: JOB is any kind of job, with its arguments.

    \b
      b2jobs schedule add nightly sync source=data://nas/ destination=b2://archive/nas/ \\
                          keep_days=30 --cron "0 3 * * *" --timezone Europe/Berlin
      b2jobs schedule add heartbeat check --every 15m
    """
    values = {key: value for key, value in options.items() if value is not None}
    schedules = Schedules(session.client.records)
    schedules.add(define(name, {"job": job, "arguments": _arguments(arguments), **values}))
    if session.json:
        found = next(each for each in schedules.listed() if each.schedule.name == name)
        show.line(found.as_json())
    else:
        click.echo(f"{name} is scheduled.")


@schedule.command()
@click.argument("name")
@common_options
@pass_session
def remove(session: Session, name: str) -> None:
    """Forget the schedule NAME; a run under way goes on."""
    if not Schedules(session.client.records).remove(name):
        raise unknown(name)
    if session.json:
        show.line({"name": name, "removed": True})
    else:
        click.echo(f"{name}  removed")


@schedule.command()
@click.argument("name")
@common_options
@pass_session
def pause(session: Session, name: str) -> None:
    """Begin no more runs of the schedule NAME by itself, until it is resumed.

    A run under way goes on, `run` begins one all the same, and what passes meanwhile is left
    out. Schedules of the config file can be paused too.
    """
    Schedules(session.client.records).pause(name)
    _say(session, name, "paused")


@schedule.command()
@click.argument("name")
@common_options
@pass_session
def resume(session: Session, name: str) -> None:
    """Go on with the schedule NAME, with its next slot from now."""
    Schedules(session.client.records).resume(name)
    _say(session, name, "resumed")


@schedule.command()
@click.argument("name")
@click.option("--wait", is_flag=True, help="Follow the job to its end and print its result.")
@click.option("--timeout", type=Duration(), help="Wait this long at most; then exit 4.")
@common_options
@pass_session
def run(session: Session, name: str, wait: bool, timeout: float | None) -> None:
    """Start a run of the schedule NAME now, beside its slots."""
    job_id = Schedules(session.client.records).run(name)
    if wait or timeout is not None:
        follow.finish(session, session.client.job(job_id), timeout)
    else:
        show.queued(session, job_id)


def _say(session: Session, name: str, done: str) -> None:
    if session.json:
        show.line({"name": name, "paused": done == "paused"})
    else:
        click.echo(f"{name}  {done}")


def _arguments(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` pairs; values are JSON where they can be read as such, else text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{pair!r} is not ARGUMENT=VALUE")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _when(found: dict[str, Any]) -> str:
    if "cron" in found:
        return f"{found['cron']} {found.get('timezone', 'UTC')}"
    return f"every {found['every']:g} s"


def _moment(text: str | None) -> str:
    return show.moment(datetime.fromisoformat(text)) if text else ""


def _ended(run: dict[str, Any]) -> str:
    """How a run ended, in a few words: its state, and the failure's code, the cost or a note."""
    if not run:
        return ""
    said = [run["state"]]
    if run.get("failure"):
        said.append(run["failure"]["code"])
    if run.get("result"):
        result = run["result"]
        if "outcomes" in result:
            said += [f"{count} {name}" for name, count in result["outcomes"].items()]
        said.append(f"{sum(result.get('calls', {}).values())} calls")
        said.append(f"${result.get('dollars', 0):g}")
    return ", ".join([*said, *([run["note"]] if run.get("note") else [])])
