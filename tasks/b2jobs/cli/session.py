"""What the commands share: where the queue is, how to print, and the options for both."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from b2jobs.errors import InvalidJob

if TYPE_CHECKING:
    from b2jobs.client import Client

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Session:
    """One run of the command line. Options fill it before a command sees it."""

    redis_url: str | None = None
    key_prefix: str | None = None
    json: bool = False
    shows_password: bool = False
    """Whether one stands on the command line."""

    @cached_property
    def client(self) -> Client:
        from b2jobs.client import Client

        return Client(self.redis_url, key_prefix=self.key_prefix)


pass_session = click.make_pass_decorator(Session, ensure=True)


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """Seconds, or a number with s, m, h or d behind it: `90`, `1.5h`."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration; write seconds, or 90s, 5m, 2h, 7d", param, ctx)
        return float(match[1]) * _UNIT_SECONDS[match[2]]


def _stored(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Keep an option in the session; the one nearer to the command wins."""
    if value:
        setattr(ctx.ensure_object(Session), str(param.name), value)
    if param.name == "redis_url" and value and _has_password(value):
        ctx.ensure_object(Session).shows_password = True
        click.echo(
            "Note: the password in --redis-url can be read by everybody on this machine, in the "
            "list of processes; set B2JOBS_REDIS_URL instead.",
            err=True,
        )
    return value


def _has_password(url: str) -> bool:
    from b2jobs import redis_url

    try:
        address = redis_url.read(url)
    except InvalidJob:  # refused by whoever uses it
        return False
    return bool(address.password or address.sentinel_password)


def queue_options(command: F) -> F:
    """--redis-url and --key-prefix: they work before and behind a command's name."""
    for decorate in (
        click.option(
            "--key-prefix",
            metavar="TEXT",
            expose_value=False,
            callback=_stored,
            help="Put before every Redis key; $B2JOBS_KEY_PREFIX.",
        ),
        click.option(
            "--redis-url",
            metavar="URL",
            expose_value=False,
            callback=_stored,
            help="Where the queue is; $B2JOBS_REDIS_URL, else redis://127.0.0.1:6379/0.",
        ),
    ):
        command = decorate(command)
    return command


def common_options(command: F) -> F:
    """`queue_options` and --json."""
    command = queue_options(command)
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_stored,
        help="Print one JSON object a line, and nothing else on stdout.",
    )(command)


def _told(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> Any:
    """Tasks, TASK:QUEUE and URLs as `on_done` takes them; None when there are none."""
    del ctx, param
    told: list[str | tuple[str, str]] = []
    for each in given:
        task, colon, queue = each.rpartition(":")
        told.append((task, queue) if colon and "://" not in each else each)
    return (told[0] if len(told) == 1 else told) or None


def submit_options(*, wait: bool = False, priority: str = "normal") -> Callable[[F], F]:
    """What every command that submits a job takes; *wait* is whether it follows by default."""

    def decorate(command: F) -> F:
        for option in (
            click.option(
                "--on-done",
                metavar="TASK[:QUEUE]|URL",
                multiple=True,
                callback=_told,
                help="A Celery task or a webhook to tell when it has ended; may be repeated.",
            ),
            click.option(
                "--expires",
                type=Duration(),
                help="Do not start the job any more after this time.",
            ),
            click.option(
                "--retry",
                type=Duration(),
                help="Try failures that can heal again for this long.  [default: 24h]",
            ),
            click.option(
                "--priority",
                type=click.Choice(["high", "normal", "low"]),
                help=f"Which queue it waits in.  [default: {priority}]",
            ),
            click.option(
                "--key",
                metavar="TEXT",
                help="Submitting the same key again gives the same job.",
            ),
            click.option(
                "--account",
                metavar="NAME",
                help="Which credentials of the workers to use.  [default: default]",
            ),
            click.option(
                "--timeout",
                type=Duration(),
                help="Wait this long at most; then exit 4, and the job goes on.",
            ),
            click.option(
                "--wait/--no-wait",
                default=wait,
                show_default=True,
                help="Follow the job to its end and print its result, or print its id.",
            ),
        ):
            command = option(command)
        return common_options(command)

    return decorate
