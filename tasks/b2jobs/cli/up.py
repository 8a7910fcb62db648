"""`b2jobs up`: Redis, a local B2 and a worker in one foreground process tree."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from b2jobs.cli import extras, show
from b2jobs.cli.session import Session, common_options, pass_session
from b2jobs.cli.signals import stopping_is_an_interrupt
from b2jobs.connection import PREFIX_VARIABLE, URL_VARIABLE, shown
from b2jobs.local.stack import SECRETS_VARIABLE, Stack, Wanted
from b2jobs.local.state import State


@click.command()
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything in DIR, for the next time.  [default: a temporary folder]",
)
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="Of the worker."
)
@common_options
@pass_session
def up(session: Session, data: Path | None, processes: int) -> None:
    """Run Redis, a local B2 and a worker until Ctrl-C.

    Prints how to use them. A Redis that B2JOBS_REDIS_URL names and a B2 account that
    B2JOBS_SECRETS_FILE names are used instead of local ones. The worker has one root,
    data://.my/, in a folder that is printed. Nothing is left behind, however this ends, but
    what --data keeps.
    """
    asked = wanted(session, processes=str(processes), reserved_slots="0")
    with stopping_is_an_interrupt():
        try:
            with State(data) as state, Stack(state, asked) as stack:
                if session.json:
                    show.line(_facts(stack))
                else:
                    _say(stack)
                while True:
                    stack.check()
                    time.sleep(0.2)
        except KeyboardInterrupt:
            if not session.json:
                click.echo("\nStopped.")


def wanted(session: Session, **worker: str) -> Wanted:
    """What to start, given what the environment and the options name already.

    Raises:
        CommandFailed: `extra_missing`.
    """
    secrets_file = os.environ.get(SECRETS_VARIABLE, "")
    extras.need("worker", "local")
    if not secrets_file:
        extras.need("emulator", "local")
    return Wanted(
        redis_url=session.redis_url or os.environ.get(URL_VARIABLE, ""),
        secrets_file=secrets_file,
        key_prefix=session.client.key_prefix,
        worker_settings={f"B2JOBS_{name.upper()}": value for name, value in worker.items()},
    )


def _facts(stack: Stack) -> dict[str, str]:
    return {
        "redis_url": stack.redis_url,
        "key_prefix": stack.wanted.key_prefix,
        "realm": stack.realm,
        "secrets_file": stack.secrets_file,
        "root": str(stack.state.root),
        "state": str(stack.state.folder),
    }


def _say(stack: Stack) -> None:
    state = stack.state
    kept = "\n  Nothing of it is kept; --data DIR would." if state.is_temporary else ""
    prefix = stack.wanted.key_prefix
    click.echo(
        f"""\
b2jobs is up. Ctrl-C stops all of it.

  Redis       {shown(stack.redis_url)}
  B2          {stack.realm or f"the account in {stack.secrets_file}"}
  data://.my  {state.root}
  log files   {state.folder / "log"}{kept}

In another shell:
"""
    )
    if not stack.wanted.redis_url:
        click.echo(f"  export {URL_VARIABLE}={stack.redis_url}")
    if prefix:
        click.echo(f"  export {PREFIX_VARIABLE}={prefix}")
    click.echo(
        f"""\
  cp FILE {state.root}/
  b2jobs bucket create some-bucket --type public --wait
  b2jobs upload data://.my/FILE b2://some-bucket/FILE --wait
  b2jobs download b2://some-bucket/FILE data://.my/copy --wait
  b2jobs job list
"""
    )
