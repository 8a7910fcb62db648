"""`b2jobs status`: the whole installation on one screen."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from b2jobs import numbers
from b2jobs.cli import show
from b2jobs.cli.exits import FAILED
from b2jobs.cli.session import Duration, Session, common_options, pass_session
from b2jobs.cli.wording import for_command_line
from b2jobs.fleet import Budget
from b2jobs.printable import printable
from b2jobs.record import Record
from b2jobs.status import Status, look

_BAR_WIDTH = 24
_WIDTH_OF_A_FILE = 160
_REASONS = {
    "backoff": "failed for now, tried again soon",
    "rate_limited": "B2 asked to slow down",
    "cap": "a cap of the account is reached",
    "credentials": "the credentials do not work",
    "budget": "the budget is used up",
    "window": "their time has not come",
    "paused": "their batch is paused",
}


@click.command()
@click.option("--watch", "-w", is_flag=True, help="Draw it anew until Ctrl-C.")
@click.option(
    "--every", type=Duration(), default=2.0, show_default=True, help="With --watch: seconds."
)
@common_options
@pass_session
def status(session: Session, watch: bool, every: float) -> None:
    """Show what goes on, what waits and why, and what failed.

    Exit 1 when something needs a person: nobody works, credentials or a cap keep jobs waiting,
    jobs have failed for a reason that is not the caller's. With --json one object has all of it.
    """
    records = session.client.records
    if not watch:
        found = look(records)
        if session.json:
            show.line(found.as_json())
        else:
            _console().print(screen(found))
        sys.exit(FAILED if found.troubles else 0)
    if session.json:
        while True:
            show.line(look(records).as_json())
            sys.stdout.flush()
            time.sleep(every)
    is_terminal = sys.stdout.isatty()
    first = screen(look(records))
    with Live(first, console=_console(), auto_refresh=False, screen=is_terminal) as live:
        while True:
            time.sleep(every)
            live.update(screen(look(records)), refresh=True)


class _Screen(Console):
    def on_broken_pipe(self) -> None:  # rich would exit with 1
        raise BrokenPipeError


def _console() -> Console:
    """Names are printed as they are: nothing in them is markup."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
    return _Screen(markup=False, emoji=False, highlight=False, width=width)


def screen(found: Status) -> RenderableType:
    """All of *found* for people."""
    parts: list[RenderableType] = [_headline(found), _counts(found)]
    for title, part in (
        ("Waiting", _waiting(found)),
        ("Running", _running(found)),
        ("Batches and syncs", _batches(found)),
        ("Rates", _rates(found)),
        ("Failed in the last 24 hours", _failures(found)),
        ("Schedules", _schedules(found)),
        ("Today's calls", _cost(found)),
        ("Workers", _workers(found)),
    ):
        if part is not None:
            parts += [Text(f"\n{title}", style="bold"), part]
    return Group(*parts)


def _headline(found: Status) -> RenderableType:
    if not found.troubles:
        return Text(f"{well(found)} {show.moment(found.at)}", style="green")
    lines = Text("Somebody must look at this:", style="bold red")
    for trouble in found.troubles:
        lines.append(f"\n  {printable(trouble.message)}", style="red")
        if trouble.hint:
            lines.append(f"\n    {printable(for_command_line(trouble.hint))}", style="default")
    return lines


def well(found: Status) -> str:
    """What is said when no operator is needed; what failed for its caller is no part of it."""
    failed = ", ".join(
        f"{count:,} {what}{'' if count == 1 else 's'}"
        for what, counts in (("job", found.day.jobs()), ("item", found.day.items()))
        if (count := sum(each.count for each in counts if each.state == "failed"))
    )
    if not failed:
        return "All is well."
    return f"Nothing needs an operator; but {failed} failed in 24 hours, see below."


def _counts(found: Status) -> RenderableType:
    states = found.states
    words = [f"{states[name]:,} {name}" for name in ("running", "queued", "waiting")]
    ended = [f"{states[name]:,} {name}" for name in ("succeeded", "failed", "cancelled")]
    lines = Text(f"\n{', '.join(words)}; kept of those that ended: {', '.join(ended)}.")
    for limits in {str(worker.limits): worker.limits for worker in found.workers}.values():
        if limits:
            until = f" until {limits['until']}" if "until" in limits else ""
            told = printable(f"{limits.get('now', '')}{until}")
            lines.append(f"\nLimits of each account now: {told}.")
    if found.staged_bytes:
        lines.append(f"\n{show.size(found.staged_bytes)} that producers handed over are in Redis.")
    return lines


def _budget(budget: Budget) -> str:
    """`2,500 of 2,500 class B, $0.10 of $1`."""
    told = []
    for name, most in budget.most.items():
        used = budget.used.get(name, 0)
        if name == "dollars":
            told.append(f"{show.dollars(used)} of {show.dollars(most)}")
        else:
            told.append(f"{used:,.0f} of {most:,.0f} class {name.upper()}")
    return ", ".join(told)


class _Table(Table):
    """A table in whose cells names of others may stand."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row, with what is not seen of a text as escapes."""
        shown = (printable(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, **options)


def _table(*columns: str) -> Table:
    table = _Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        right = column.startswith(">")
        table.add_column(
            column.lstrip(">"), justify="right" if right else "left", overflow="ellipsis"
        )
    return table


def _waiting(found: Status) -> Table | None:
    table = _table(">jobs", "why", "code", "oldest", "next try")
    for priority, count in found.queued.items():
        if count:
            served = any(priority in worker.priorities for worker in found.workers)
            why = "in line for a free slot" if served else "NO WORKER serves this priority"
            age = _age(found.at, found.oldest_queued.get(priority))
            table.add_row(f"{count:,}", f"{why} ({priority})", "", age, "")
    for each in found.waiting:
        due = "" if each.reason == "paused" else _in(found.at, each.until)
        why = _REASONS.get(each.reason, each.reason)
        oldest = f"{_age(found.at, each.since)} {each.oldest}"
        table.add_row(f"{each.count:,}", why, each.code, oldest, due)
    for budget in found.budgets:
        if budget.is_spent:
            why = f"account {budget.account}: {_REASONS['budget']}"
            table.add_row("", why, _budget(budget), "", "at 00:00 UTC")
    for cap in found.caps:
        why = f"account {cap.account}: {_REASONS.get(cap.reason, cap.reason)}"
        table.add_row("", why, cap.code, "", f"in {show.seconds(cap.seconds)}")
    return table if table.rows else None


def _running(found: Status) -> Table | None:
    table = _table("kind", "progress", ">", ">", ">left", "what")
    for record in found.running:
        if record.kind not in ("batch", "sync"):
            table.add_row(record.kind, *_progress(record), show.what(record))
    return table if table.rows else None


def _progress(record: Record) -> tuple[RenderableType, str, str, str]:
    done = int(record.progress.get("done") or 0)
    total = int(record.progress.get("total") or 0)
    rate = float(record.progress.get("rate") or 0)
    if not total:
        return (
            str(record.progress.get("phase") or "started"),
            show.size(done) if done else "",
            "",
            "",
        )
    bar = ProgressBar(total=total, completed=done, width=_BAR_WIDTH)
    left = show.seconds((total - done) / rate) if rate else ""
    return bar, show.size(total), f"{show.size(rate)}/s" if rate else "", left


def _batches(found: Status) -> Table | None:
    table = _table("batch", "state", "progress", ">items", ">bytes", ">failed")
    for each in found.batches:
        total = each.total_items or each.items
        done = each.finished_items
        bar: RenderableType = ProgressBar(total=max(total, 1), completed=done, width=_BAR_WIDTH)
        state = f"{each.state}: {each.reason}" if each.reason else each.state
        items = f"{done:,} of {total:,}{'' if each.planned_all else '+'}"
        moved = show.size(each.moved_bytes + each.moving_bytes)
        table.add_row(each.job, state, bar, items, moved, f"{each.failed_items:,}")
    return table if table.rows else None


def _rates(found: Status) -> Table:
    table = _table("", ">jobs", ">items", ">failed", ">to B2", ">from B2", ">waited", ">took")
    for name, each in (("last minute", found.minute), ("last hour", found.hour)):
        seconds = max(each.seconds, 1.0)
        moved = each.moved_bytes()
        ended = [*each.jobs(), *each.items()]
        table.add_row(
            name,
            f"{sum(job.count for job in each.jobs()):,}",
            f"{sum(item.count for item in each.items()):,}",
            f"{sum(job.count for job in ended if job.state == 'failed'):,}",
            f"{show.size(moved['up'] / seconds)}/s",
            f"{show.size(moved['down'] / seconds)}/s",
            show.seconds(each.waited().mean_seconds),
            show.seconds(each.ran().mean_seconds),
        )
    return table


def _failures(found: Status) -> RenderableType | None:
    table = _table(">count", "code", "what")
    for what, counts in (("jobs", found.day.jobs()), ("items", found.day.items())):
        for each in counts:
            if each.state == "failed":
                table.add_row(f"{each.count:,}", each.code, f"{each.kind} {what}")
    more = "`b2jobs job list --code CODE` names them, `b2jobs job retry --code CODE` tries again."
    return Group(table, Text(more, style="dim")) if table.rows else None


def _schedules(found: Status) -> Table | None:
    table = _table("name", "job", "next", "last")
    for each in found.schedules[:10]:
        due = _in(found.at, datetime.fromisoformat(each.next)) if each.next else "never"
        due = "paused" if each.is_paused else due
        table.add_row(each.name, each.job, due, f"{each.last_state} {each.last_code}".strip())
    return table if table.rows else None


def _cost(found: Status) -> Table | None:
    table = _table("account", ">class A", ">class B", ">class C", ">dollars", ">to B2", ">from B2")
    today: numbers.Numbers = found.today
    for account in today.accounts():
        calls, moved = today.calls(account), today.moved_bytes(account)
        table.add_row(
            account,
            *(f"{calls[name]:,}" for name in "abc"),
            show.dollars(today.dollars(account)),
            show.size(moved["up"]),
            show.size(moved["down"]),
        )
    return table if table.rows else None


def _workers(found: Status) -> Table | None:
    table = _table("worker", "serves", ">busy", ">memory", "version", "since")
    for each in found.workers:
        table.add_row(
            each.name,
            ",".join(each.priorities),
            f"{each.busy} of {each.slots}",
            show.size(each.memory_bytes) if each.memory_bytes else "?",
            each.version or "?",
            show.moment(each.since),
        )
    return table if table.rows else None


def _age(now: datetime, since: datetime | None) -> str:
    return show.seconds((now - since).total_seconds()) if since else ""


def _in(now: datetime, due: datetime | None) -> str:
    if due is None:
        return ""
    left = (due - now).total_seconds()
    return f"in {show.seconds(left)}" if left > 0 else "now"
