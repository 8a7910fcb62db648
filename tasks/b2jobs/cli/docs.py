"""`b2jobs docs`: the pages that hints name, from wherever b2jobs is installed."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import click

import b2jobs

_IN_THE_WHEEL = Path(b2jobs.__file__).parent / "docs"
_IN_THE_REPOSITORY = Path(b2jobs.__file__).parents[2] / "docs"


def folder() -> Path:
    """Where the pages are: in the wheel they lie beside the package."""
    return _IN_THE_WHEEL if _IN_THE_WHEEL.is_dir() else _IN_THE_REPOSITORY


def _readme() -> list[Path]:
    return [] if folder() == _IN_THE_WHEEL else [folder().parent / "README.md"]


@click.command()
@click.argument("page", required=False)
def docs(page: str | None) -> None:
    """Print the page PAGE of the documentation, or list all.

    The pages are those of this version; hints name them.

    \b
      b2jobs docs
      b2jobs docs errors | less
    """
    pages = {path.stem.lower(): path for path in sorted([*folder().glob("*.md"), *_readme()])}
    if page is None:
        for name, path in pages.items():
            title = path.read_text().partition("\n")[0].lstrip("# ")
            click.echo(f"{name.ljust(max(map(len, pages)))}  {title}")
        return
    name = page.removeprefix("docs/").removesuffix(".md").lower()
    if name not in pages:
        close = get_close_matches(name, pages, n=1)
        raise click.UsageError(
            f"There is no page {page!r}; `b2jobs docs` lists them."
            + (f" Did you mean {close[0]!r}?" if close else "")
        )
    click.echo(pages[name].read_text(), nl=False)
