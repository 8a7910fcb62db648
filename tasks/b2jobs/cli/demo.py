"""`b2jobs demo`: one job from end to end, on a stack of its own."""

from __future__ import annotations

import shutil
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from b2jobs.cli import show
from b2jobs.cli.exits import CommandFailed
from b2jobs.cli.follow import StatusLine, follow
from b2jobs.cli.session import Session, common_options, pass_session
from b2jobs.cli.signals import stopping_is_an_interrupt
from b2jobs.cli.up import wanted
from b2jobs.connection import connect
from b2jobs.errors import QueueUnavailable
from b2jobs.handle import Handle
from b2jobs.local.stack import Stack
from b2jobs.local.state import State
from b2jobs.redis import unavailable
from b2jobs.results import BucketResult, Result, ShareResult, TransferResult

SOURCE = "data://.my/somecollection/somefile.png"
COPY = "data://.my/somecollection/somefile-again.png"
NAME = "remotefolder/remotefile.png"
_SAMPLE = Path(__file__).parents[1] / "local" / "sample.png"
_ROOT = "data://.my/"
_CHUNK = 1 << 20
_PATIENCE_SECONDS = 24 * 3600.0


@click.command()
@click.argument(
    "file",
    required=False,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
)
@click.option(
    "--bucket",
    default="some-bucket",
    show_default=True,
    help="Names are unique in all of B2: choose your own on a real account.",
)
@common_options
@pass_session
def demo(session: Session, file: Path | None, bucket: str) -> None:
    """Show one job from end to end, with FILE or a sample.

    Uploads it through the queue, downloads it again, fetches its URL and compares the bytes.
    Starts a Redis, a local B2 and a worker, and stops them at the end. With B2JOBS_REDIS_URL
    and B2JOBS_SECRETS_FILE set it runs on those instead, under a key prefix of its own, and
    removes what it has made there at the end.
    """
    prefix = f"b2jobs-demo-{uuid.uuid4().hex[:8]}:"
    asked = replace(wanted(session, processes="1", reserved_slots="0"), key_prefix=prefix)
    began = time.monotonic()
    with stopping_is_an_interrupt(), ExitStack() as undo:
        if asked.redis_url:
            undo.callback(_forget, asked.redis_url, prefix)
        state = undo.enter_context(State())
        stack = undo.enter_context(Stack(state, asked))
        if not session.json:
            click.echo(f"Started what was needed in {time.monotonic() - began:.1f} s.")
        Demo(session, stack, bucket).run(file or _SAMPLE)
    if not session.json:
        click.echo("Stopped all that was started.")


class Demo:
    """The steps, each a job on the running stack; what they make elsewhere is removed again."""

    def __init__(self, session: Session, stack: Stack, bucket: str) -> None:
        self.session = session
        self.client = stack.client
        self._check = stack.check
        self.is_local = bool(stack.realm)
        self.root = stack.state.root
        self.bucket = bucket
        self.target = f"b2://{bucket}/{NAME}"

    def run(self, file: Path) -> None:
        """Up, down, and through the URL.

        Raises:
            JobFailed: a step did not succeed.
            CommandFailed: `demo_differs`, bytes came back that are not the file's.
        """
        source = self._put(file)
        with ExitStack() as undo:
            self.make_bucket(undo)
            result = self.upload(undo)
            self.download(source)
            self.fetch(source, result)

    def make_bucket(self, undo: ExitStack) -> None:
        """A public bucket in the local B2; on a real account a private one."""
        kind = "public" if self.is_local else "private"
        made = self._follow(self.client.bucket, "create", self.bucket, type=kind)
        assert isinstance(made, BucketResult)
        if made.status == "created" and not self.is_local:
            undo.callback(self._follow, self.client.bucket, "delete", self.bucket)
        self._say(f"bucket    {self.bucket}: {made.status}")

    def upload(self, undo: ExitStack) -> TransferResult:
        result = self._follow(self.client.upload, SOURCE, self.target)
        assert isinstance(result, TransferResult)
        if not self.is_local:
            undo.callback(self._follow, self.client.delete, f"b2id://{result.file_id}")
        self._say(f"upload    {SOURCE} -> {self.target}")
        show.line(result.as_json())
        return result

    def download(self, source: Path) -> None:
        self._follow(self.client.download, self.target, COPY)
        with source.open("rb") as sent, (self.root / COPY.removeprefix(_ROOT)).open("rb") as got:
            size = _compare(sent, got, "The download")
        self._say(f"download  {self.target} -> {COPY}: the same {size} bytes")

    def fetch(self, source: Path, result: TransferResult) -> None:
        url = result.url
        if not self.is_local:
            shared = self._follow(self.client.share, self.target, 600)
            assert isinstance(shared, ShareResult)
            url = shared.url
        handlers = [urllib.request.ProxyHandler({})] if self.is_local else []
        with (
            urllib.request.build_opener(*handlers).open(url, timeout=60) as answer,
            source.open("rb") as sent,
        ):
            size = _compare(sent, answer, "The URL")
        self._say(f"fetch     {url}: {answer.status}, the same {size} bytes")

    def _put(self, file: Path) -> Path:
        """Give the worker *file* below its root: as a link where possible, else as a copy."""
        source = self.root / SOURCE.removeprefix(_ROOT)
        source.parent.mkdir()
        try:
            source.hardlink_to(file.resolve())
        except OSError:  # another file system, or not ours to link
            shutil.copyfile(file, source)
        return source

    def _follow(self, ask: Callable[..., Handle], *arguments: Any, **options: Any) -> Result:
        self._check()
        line = StatusLine(sys.stderr)
        try:
            handle = ask(*arguments, **options)
            return follow(handle, _PATIENCE_SECONDS, line=line, check=self._check)
        except QueueUnavailable:
            self._check()  # says more, when it is our own Redis that has ended
            raise

    def _say(self, text: str) -> None:
        if not self.session.json:
            click.echo(text)


def _compare(expected: BinaryIO, got: BinaryIO, what: str) -> int:
    """How many bytes both have.

    Raises:
        CommandFailed: they differ.
    """
    size = 0
    while True:
        chunk = expected.read(_CHUNK)
        if chunk != _read(got, len(chunk) or 1):
            raise CommandFailed(
                f"{what} does not give the bytes of the file, from byte {size} on.",
                code="demo_differs",
            )
        if not chunk:
            return size
        size += len(chunk)


def _read(stream: BinaryIO, size: int) -> bytes:
    """*size* bytes, fewer only at the end: a socket may give less at a time."""
    found = b""
    while len(found) < size and (more := stream.read(size - len(found))):
        found += more
    return found


def _forget(redis_url: str, key_prefix: str) -> None:
    """Remove every key of this demo from a Redis that goes on."""
    redis = connect(redis_url)
    with unavailable(redis_url):
        for key in redis.scan_iter(match=f"{key_prefix}*", count=1000):
            redis.delete(key)
