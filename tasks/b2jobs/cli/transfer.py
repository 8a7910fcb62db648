"""`b2jobs upload`, `download`, `copy`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from b2jobs.cli import follow
from b2jobs.cli.attributes import (
    attribute_options,
    customer_key_option,
    source_account_option,
)
from b2jobs.cli.change import bypass_option
from b2jobs.cli.session import Session, pass_session, submit_options
from b2jobs.errors import InvalidJob

_LOCATION = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_IF_EXISTS = ["version", "skip", "fail", "replace"]


class Source(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """A location, a file of this machine, or `-` for standard input."""

    name = "source"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Path | BinaryIO:
        del param, ctx
        if value == "-":
            return sys.stdin.buffer
        if _LOCATION.match(value):
            return str(value)
        path = Path(value).expanduser()
        if not path.exists():
            raise InvalidJob(
                f"source: there is no file {value!r} on this machine.",
                code="source_missing",
                hint="Write ./FILE for a file of this machine, or where workers find it: "
                "data://ROOT/path, https://host/path.",
                field="source",
            )
        return path


@click.command()
@click.argument("source", type=Source())
@click.argument("destination")
@click.option(
    "--if-exists",
    type=click.Choice(_IF_EXISTS),
    help="version: add one, B2's way. skip: not when the same bytes are there. fail. "
    "replace: remove the older versions afterwards.  [default: version]",
)
@attribute_options
@submit_options()
@pass_session
def upload(session: Session, /, **arguments: Any) -> None:
    """Put SOURCE into a bucket as DESTINATION.

    SOURCE is a file of this machine (./file) or - for standard input, 64 MiB at most, which wait
    in Redis until the job ends; or where a worker finds it: data://ROOT/path, https://host/path,
    s3://BUCKET/key, data:;base64,... A DESTINATION that ends in / keeps the source's name.
    Uploading nothing to it makes the folder.

    \b
      b2jobs upload ./somefile.png b2://some-bucket/remotefolder/ --wait
      pg_dump shop | gzip | b2jobs upload - b2://some-bucket/shop.sql.gz
      b2jobs upload data://.my/somecollection/somefile.png \\
                    b2://some-bucket/remotefolder/remotefile.png --wait
      b2jobs upload data:, b2://some-bucket/new-folder/
    """
    follow.submit(session, "upload", **arguments)


@click.command()
@click.argument("source")
@click.argument("destination", required=False)
@click.option(
    "--if-exists",
    type=click.Choice(["replace", "skip", "fail"]),
    help="What to do with a file that is there already.  [default: replace]",
)
@click.option("--range", metavar="FIRST-LAST", help="Only these bytes, both inclusive.")
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Take the file only with the SHA-1 that B2 has for it, or as it is.  [default: verify]",
)
@customer_key_option
@submit_options()
@pass_session
def download(session: Session, /, **arguments: Any) -> None:
    """Fetch SOURCE from B2 to DESTINATION.

    DESTINATION is a place the worker can write: data://ROOT/path, file:///path inside a root, or
    an object of another store: s3://BUCKET/key, gs://, azure://.
    Without it up to 256 KiB come back in the result; with --wait they are printed.

    \b
      b2jobs download b2://some-bucket/remotefolder/remotefile.png data://.my/copy.png --wait
      b2jobs download b2://some-bucket/notes.txt --wait
      b2jobs download b2://some-bucket/notes.txt s3://other-bucket/notes.txt
    """
    follow.submit(session, "download", **arguments)


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option("--if-exists", type=click.Choice(_IF_EXISTS), help="As in upload.")
@attribute_options
@customer_key_option
@source_account_option
@submit_options()
@pass_session
def copy(session: Session, /, **arguments: Any) -> None:
    """Copy SOURCE to DESTINATION inside B2.

    Its bytes do not pass through the worker where one key sees both sides. The copy carries all
    that the source carries, but what is named here.

    \b
      b2jobs copy b2://some-bucket/remotefile.png b2://other-bucket/copy.png --wait
      b2jobs copy b2://old-bucket/a.png b2://new-bucket/a.png --source-account old --account new
    """
    follow.submit(session, "copy", **arguments)


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option("--if-exists", type=click.Choice(_IF_EXISTS), help="As in upload.")
@attribute_options
@customer_key_option
@bypass_option
@submit_options()
@pass_session
def move(session: Session, /, **arguments: Any) -> None:
    """Move SOURCE to DESTINATION inside B2.

    It is copied, the copy is checked, and then SOURCE is deleted. Its bytes do not pass through
    the worker. Older versions of SOURCE stay, hidden where they would come to light. A key
    without deleteFiles cannot move; it can copy and then hide.

    \b
      b2jobs move b2://some-bucket/inbox/a.png b2://some-bucket/done/a.png --wait
    """
    follow.submit(session, "move", **arguments)
