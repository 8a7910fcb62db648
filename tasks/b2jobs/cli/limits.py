"""`b2jobs limits`: bytes and requests a second of the whole fleet, now."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from b2jobs import fleet
from b2jobs.cli import show
from b2jobs.cli.session import Duration, Session, common_options, pass_session
from b2jobs.fleet_limit import FleetLimit, FleetLimits
from b2jobs.printable import printable


@click.group()
def limits() -> None:
    """Bytes and requests a second of the fleet: show, set, lift.

    What is set here goes before what the workers' config files say (`[limits]`,
    `bytes_per_second`, `requests_per_second`), within two seconds, for transfers under way too.
    """


@limits.command(name="set")
@click.argument("limit")
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Only for so long: 90s, 2h, 1d.  [default: until it is lifted]",
)
@common_options
@pass_session
def set_(session: Session, limit: str, seconds: float | None) -> None:
    """Let LIMIT hold for each account.

    \b
      b2jobs limits set "2 MB/s, 50 requests/s"
      b2jobs limits set "500 kB/s" --for 2h
      b2jobs limits set unlimited --for 8h
    """
    _say(session, FleetLimits(session.client.records).set(limit, seconds=seconds))


@limits.command()
@common_options
@pass_session
def lift(session: Session) -> None:
    """Let the workers' config files say again what holds."""
    was_set = FleetLimits(session.client.records).lift()
    if session.json:
        show.line({"lifted": was_set})
    else:
        click.echo("The workers' config files hold." if was_set else "Nothing was set.")


@limits.command(name="show")
@common_options
@pass_session
def show_(session: Session) -> None:
    """Print what was set, and what each worker says that it keeps to."""
    records = session.client.records
    found = FleetLimits(records).get()
    workers = {each.name: each.limits for each in fleet.workers(records)}
    if session.json:
        show.line({**_told(found), "workers": workers})
        return
    if found is None:
        click.echo("Nothing is set here: the workers' config files hold.")
    else:
        _say(session, found)
    for name, kept in workers.items():
        until = f" until {kept['until']}" if "until" in kept else ""
        click.echo(printable(f"{name}: {kept.get('now', 'unlimited')}{until}"))


def _say(session: Session, found: FleetLimit) -> None:
    if session.json:
        show.line(_told(found))
        return
    until = "it is lifted" if found.until is None else show.moment(_moment(found.until))
    click.echo(f"{found.rates} until {until}")


def _told(found: FleetLimit | None) -> dict[str, str | None]:
    if found is None:
        return {"limit": None, "until": None}
    until = None if found.until is None else _moment(found.until).isoformat(timespec="seconds")
    return {"limit": str(found.rates), "until": until}


def _moment(until: float) -> datetime:
    return datetime.fromtimestamp(until, UTC)
