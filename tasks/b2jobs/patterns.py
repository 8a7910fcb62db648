"""Include and exclude patterns for the files below a prefix.

`*` and `?` stay within one name, `**` crosses folders. A pattern without `/` is matched
against the last name at any depth, one with `/` against the whole path below the prefix; one
that ends in `/` takes everything in folders of that name. `re:` in front makes it a regular
expression that must match from the path's beginning, as `b2 sync` has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


def silenced(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether what could not be read as *path* takes no part, so that nobody need hear of it.

    A file takes part as `chosen` says. A folder, whose path ends in `/`, may hold anything: it
    is silenced only where *exclude* takes whatever is in it, or names it from the top (`/cache`).
    """
    is_chosen = chosen(include, exclude)
    unwanted = [compiled(pattern) for pattern in exclude]
    named = [compiled(pattern) for pattern in exclude if pattern.startswith("/")]

    def is_silenced(path: str) -> bool:
        if not path.endswith("/"):
            return not is_chosen(path)
        inside = (f"{path}\0", f"{path}\0/\0")  # names that no pattern means
        takes_all = any(all(pattern.search(each) for each in inside) for pattern in unwanted)
        return takes_all or any(pattern.search(path.rstrip("/")) for pattern in named)

    return is_silenced


def chosen(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path is wanted: it matches one of *include* (if any) and none of *exclude*."""
    wanted = [compiled(pattern) for pattern in include]
    unwanted = [compiled(pattern) for pattern in exclude]

    def is_chosen(path: str) -> bool:
        if wanted and not any(pattern.search(path) for pattern in wanted):
            return False
        return not any(pattern.search(path) for pattern in unwanted)

    return is_chosen


def compiled(pattern: str) -> re.Pattern[str]:
    """*pattern* as a regular expression over the path below the prefix.

    Raises:
        ValueError: the pattern is empty, or its regular expression is broken.
    """
    if pattern.startswith("re:"):
        try:
            return re.compile(rf"\A(?:{pattern[3:]})")
        except re.error as error:
            raise ValueError(f"the pattern {pattern!r} is broken: {error}") from error
    text = pattern.removeprefix("/")
    if not text:
        raise ValueError("a pattern must not be empty")
    folder = text.endswith("/")
    body = _expression(text.removesuffix("/"))
    anchored = pattern.startswith("/") or "/" in text.removesuffix("/")
    head = r"\A" if anchored else r"(?:\A|/)"
    return re.compile(head + body + ("/" if folder else r"\Z"), re.DOTALL)


def _expression(text: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(text):
        if text.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif text.startswith("**", at):
            parts.append(".*")
            at += 2
        else:
            character = text[at]
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
            at += 1
    return "".join(parts)


def checked(given: list[str]) -> list[str]:
    """The patterns of a request, each of which `compiled` can read; raises as it does."""
    for pattern in given:
        compiled(pattern)
    return given
