"""`b2jobs ls` and `b2jobs du`: look at what is in B2."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import click

from b2jobs.cli import follow, show
from b2jobs.cli.choosing import choosing_options, said
from b2jobs.cli.session import Session, pass_session, submit_options
from b2jobs.printable import json_line, printable

_NO_SIZE = {"folder": "DIR", "hide_marker": "HIDDEN", "unfinished": "BEGUN"}


@click.command()
@click.argument("target")
@click.option("--recursive", "-r", is_flag=True, help="All below, instead of a line a folder.")
@click.option(
    "--versions",
    is_flag=True,
    help="Old versions, hide markers and unfinished large files too, each with its id.",
)
@click.option("--limit", type=click.IntRange(1, 1000), help="End after so many lines.")
@choosing_options
@submit_options(wait=True)
@pass_session
def ls(
    session: Session, /, target: str, *, wait: bool, timeout: float | None, **arguments: Any
) -> None:
    """List what is below TARGET, or its versions.

    TARGET is a prefix that ends in /, or the file of that name.

    A line has the size in bytes, when the file was modified, and its name; with --json it is an
    object with the times, the type, the SHA-1 and the id. Lines come while the worker lists.

    \b
      b2jobs ls b2://some-bucket/
      b2jobs ls b2://some-bucket/photos/ --recursive --min-size 10M --json
      b2jobs ls b2://some-bucket/photos/ -r --versions | head
    """
    listing = session.client.ls(target, **said(arguments))
    if not wait:
        show.queued(session, listing.id)
        return
    with closing(listing.pages(timeout)) as pages:
        for page in pages:
            texts = [json_line(line) if session.json else _as_text(line) for line in page]
            sys.stdout.write("".join(f"{text}\n" for text in texts))
            sys.stdout.flush()  # whoever reads us may have enough: then it is told here


@click.command()
@click.argument("target")
@choosing_options
@submit_options(wait=True)
@pass_session
def du(session: Session, /, **arguments: Any) -> None:
    """Add up what is below TARGET, and what it costs.

    TARGET is a prefix that ends in /, or one file. Old versions are those that are not visible:
    replaced, or hidden.

    \b
      b2jobs du b2://some-bucket/
      b2jobs du b2://some-bucket/photos/ --min-age 90d --json
    """
    wait, timeout = arguments.pop("wait"), arguments.pop("timeout")
    follow.submit(session, "du", wait=wait, timeout=timeout, **said(arguments))


def _as_text(line: dict[str, Any]) -> str:
    size = _NO_SIZE.get(line["type"]) or str(line["size"])
    moment = line.get("modified", "")[:19].replace("T", " ")
    name = printable(line["name"])
    known = f"{size:>13}  {moment:19}  {name}"
    if "latest" not in line:
        return known
    return f"{known}  {line['file_id']}{'' if line['latest'] else '  (old)'}"
