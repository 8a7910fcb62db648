"""`b2jobs words`: what is told of ended jobs and has not been delivered yet."""

from __future__ import annotations

from typing import get_args

import click

from b2jobs.cli import show
from b2jobs.cli.session import Session, common_options, pass_session
from b2jobs.words import Word, Words, WordState

_EVERYTHING = 10_000_000


@click.group()
def words() -> None:
    """What is told of ended jobs: list, show, resend, drop.

    A word is what one receiver is told of one end of a job. Those that could not be delivered
    for a day are kept for a week.
    """


@words.command(name="list")
@click.option(
    "--standing", type=click.Choice(get_args(WordState)), help="Only those that wait, or failed."
)
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Words at most."
)
@common_options
@pass_session
def list_(session: Session, standing: WordState | None, limit: int) -> None:
    """Print words: those that were given up first, then those that wait."""
    found = list(Words(session.client.records).listed(standing=standing, limit=limit))
    if session.json:
        for word in found:
            show.line(word.as_json(is_listed=True))
        return
    show.listing(
        ("ID", "STANDING", "RECEIVER", "JOB", "TRIES", "ERROR OR NEXT TRY"),
        (
            (
                word.id,
                word.standing,
                word.receiver,
                f"{word.kind} {word.state}",
                f"{word.tries}",
                word.error or show.moment(word.due),
            )
            for word in found
        ),
        "No word waits, and none was given up.",
    )


@words.command(name="show")
@click.argument("word_id", metavar="ID")
@common_options
@pass_session
def show_(session: Session, word_id: str) -> None:
    """Print all that is known of the word ID, and what it says."""
    data = Words(session.client.records).get(word_id).as_json()
    if session.json:
        show.line(data)
    else:
        show.fields(data)


@words.command()
@click.argument("word_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that were given up.")
@common_options
@pass_session
def resend(session: Session, word_ids: tuple[str, ...], everything: bool) -> None:
    """Deliver the words ID again, under the ids they had."""
    kept = Words(session.client.records)
    for word_id in _chosen(kept, word_ids, everything):
        kept.resend(word_id)
        _acted(session, word_id, "resent")


@words.command()
@click.argument("word_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that were given up.")
@common_options
@pass_session
def drop(session: Session, word_ids: tuple[str, ...], everything: bool) -> None:
    """Deliver the words ID to nobody."""
    kept = Words(session.client.records)
    for word_id in _chosen(kept, word_ids, everything):
        kept.drop(word_id)
        _acted(session, word_id, "dropped")


def _chosen(kept: Words, word_ids: tuple[str, ...], everything: bool) -> list[str]:
    if everything == bool(word_ids):
        raise click.UsageError("Give ids, or --all.")
    if not everything:
        return list(word_ids)
    given_up: list[Word] = list(kept.listed(standing="undelivered", limit=_EVERYTHING))
    return [word.id for word in given_up]


def _acted(session: Session, word_id: str, act: str) -> None:
    if session.json:
        show.line({"id": word_id, act: True})
    else:
        show.say(f"{word_id} {act}")
