"""`b2jobs worker`: run a worker, or look whether this machine's worker lives."""

from __future__ import annotations

import os
import socket

import click

from b2jobs.cli import extras, show
from b2jobs.cli.exits import CommandFailed
from b2jobs.cli.session import Session, common_options, pass_session

_ALIVE_SECONDS = 30.0


@click.command()
@click.option(
    "--queues",
    metavar="LIST",
    help="Priorities to serve, such as high,normal; $B2JOBS_QUEUES.  [default: high,normal,low]",
)
@click.option(
    "--processes",
    type=click.IntRange(0),
    help="0 is one for each core; $B2JOBS_PROCESSES.  [default: 0]",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 256),
    help="Jobs at a time in each process; $B2JOBS_SLOTS.  [default: 8]",
)
@click.option("--config", metavar="FILE", help="TOML: roots and settings; $B2JOBS_CONFIG.")
@click.option(
    "--secrets-file",
    metavar="FILE",
    help="The B2 credentials; $B2JOBS_SECRETS_FILE.  [default: /run/secrets/b2.json]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How the log on stderr looks; --json is `json`; $B2JOBS_LOG_FORMAT.  [default: text]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What is logged; $B2JOBS_LOG_LEVEL.  [default: info]",
)
@click.option(
    "--healthcheck",
    is_flag=True,
    help="Run nothing: exit 0 when a worker of this host has shown life in the last 30 s.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Run nothing: say what will not work. Exit 0 for nothing, 1 when the worker would start "
    "all the same, 2 when it would not.",
)
@common_options
@pass_session
def worker(
    session: Session, /, healthcheck: bool, check: bool, **settings: str | int | None
) -> None:
    """Run a worker until SIGTERM or Ctrl-C.

    Jobs under way are then handed to other workers. Every option is also an environment variable
    or a line in the config file; `b2jobs docs readme` lists them all.
    """
    if healthcheck:
        _look_for_life(session)
        return
    extras.need("worker")
    given = {**settings, "redis_url": session.redis_url, "key_prefix": session.key_prefix}
    for name, value in given.items():
        if value is not None:
            os.environ[f"B2JOBS_{name.upper()}"] = str(value)
    words = [*(["--check"] if check else []), *(["--json"] if session.json else [])]
    extras.become("b2jobs_worker", *words, afresh=session.shows_password)


def _look_for_life(session: Session) -> None:
    host = socket.gethostname()
    alive = [
        name
        for name in session.client.records.workers(within_seconds=_ALIVE_SECONDS)
        if name.split("|")[0].endswith(f"@{host}")
    ]
    if not alive:
        raise CommandFailed(
            f"No worker of this host ({host}) has shown life in the last {_ALIVE_SECONDS:g} s.",
            code="worker_silent",
            hint="Look into its log, or start one with `b2jobs worker`.",
        )
    if session.json:
        show.line({"host": host, "workers": alive})
    else:
        for name in alive:
            show.say(name)
