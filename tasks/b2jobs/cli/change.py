"""`b2jobs hide`, `unhide`, `retention`, `hold`: what changes a file that is there."""

from __future__ import annotations

from typing import Any

import click

from b2jobs.cli import follow
from b2jobs.cli.session import Session, pass_session, submit_options

bypass_option = click.option(
    "--bypass-governance",
    is_flag=True,
    default=None,
    help="Also what is retained in governance mode; needs a key with bypassGovernance.",
)


@click.command()
@click.argument("target")
@submit_options()
@pass_session
def hide(session: Session, /, **arguments: Any) -> None:
    """Hide TARGET: its versions stay, and unhide shows it again.

    A key that may write can hide; it needs no deleteFiles.

    \b
      b2jobs hide b2://some-bucket/remotefolder/remotefile.png --wait
    """
    follow.submit(session, "hide", **arguments)


@click.command()
@click.argument("target")
@submit_options()
@pass_session
def unhide(session: Session, /, **arguments: Any) -> None:
    """Show TARGET again: its hide marker is removed.

    \b
      b2jobs unhide b2://some-bucket/remotefolder/remotefile.png --wait
    """
    follow.submit(session, "unhide", **arguments)


@click.command()
@click.argument("target")
@click.argument("retention", type=click.Choice(["governance", "compliance", "none"]))
@click.option("--retain-until", "--until", metavar="TIME", help="2044-12-01T16:00:00Z, or a day.")
@click.option("--retain-for", "--for", metavar="LENGTH", help="From now on: 12h, 30d, 7y.")
@bypass_option
@submit_options()
@pass_session
def retention(session: Session, /, **arguments: Any) -> None:
    """Change until when nobody may delete TARGET.

    TARGET is a file, or one version of it (b2id://).

    \b
      b2jobs retention b2://some-bucket/books.pdf governance --for 30d --wait
      b2jobs retention b2://some-bucket/books.pdf none --bypass-governance --wait
    """
    follow.submit(session, "retention", **arguments)


@click.command()
@click.argument("target")
@click.option("--off", "is_off", is_flag=True, help="Lift the hold.")
@submit_options()
@pass_session
def hold(session: Session, /, is_off: bool, **arguments: Any) -> None:
    """Put TARGET under a legal hold, or lift it.

    TARGET is a file, or one version of it (b2id://).

    \b
      b2jobs hold b2://some-bucket/books.pdf --wait
      b2jobs hold b2://some-bucket/books.pdf --off --wait
    """
    follow.submit(session, "hold", **arguments, on=not is_off)
