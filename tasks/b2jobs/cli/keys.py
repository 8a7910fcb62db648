"""`b2jobs keys`: what producers sign with, and workers seal with."""

from __future__ import annotations

from pathlib import Path

import click

from b2jobs import keyfile
from b2jobs.errors import InvalidJob
from b2jobs.keyfile import VALID_AT_A_TIME, WORKERS, Key
from b2jobs.signing import KEYS_VARIABLE

_FILE = click.option(
    "--keys-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=KEYS_VARIABLE,
    default="keys.json",
    show_default=True,
    help=f"The workers' file of keys; ${KEYS_VARIABLE}.",
)
_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The producer's own file.  [default: NAME.keys.json beside the workers']",
)


@click.group()
def keys() -> None:
    """Make and change keys for signing (`b2jobs docs security`).

    The workers' file has all keys; each producer gets a file with its own. Nothing is sent
    anywhere: take the files where they are needed, mode 600.
    """


@keys.command()
@click.argument("name")
@_FILE
@_OUT
def make(name: str, keys_file: Path, out: Path | None) -> None:
    """Make a key for the producer NAME, and for the workers where they have none."""
    keyfile.check_name(name)
    known = keyfile.read(keys_file) if keys_file.exists() else [keyfile.new_key(WORKERS)]
    if any(key.owner == name for key in known):
        raise InvalidJob(
            f"{name} has a key in {keys_file}.",
            code="keys_invalid",
            hint=f"`b2jobs keys rotate {name}` makes another.",
            field="producer",
        )
    _write([*known, keyfile.new_key(name)], name, keys_file, out)


@keys.command()
@click.argument("name")
@_FILE
@_OUT
def rotate(name: str, keys_file: Path, out: Path | None) -> None:
    """Make a new key for NAME, a producer or `workers`; the one before stays valid beside it.

    Give the workers their file first, then the producer. Rotated again, the oldest goes.
    """
    known = keyfile.read(keys_file)
    own = [key for key in known if key.owner == name]
    if not own:
        names = ", ".join(sorted({key.owner for key in known}))
        raise InvalidJob(
            f"Nobody in {keys_file} is named {name!r}.",
            code="keys_invalid",
            hint=f"There are {names}.",
            field="producer",
        )
    kept = [keyfile.new_key(name), *own][:VALID_AT_A_TIME]
    _write([*kept, *(key for key in known if key.owner != name)], name, keys_file, out)


def _write(known: list[Key], name: str, keys_file: Path, out: Path | None) -> None:
    workers_first = sorted(known, key=lambda key: key.owner != WORKERS)
    keyfile.write(keys_file, workers_first)
    click.echo(f"workers: {keys_file}")
    if name != WORKERS:
        own = out or keys_file.with_name(f"{name}.keys.json")
        keyfile.write(own, [key for key in known if key.owner == name])
        click.echo(f"{name}: {own}")
