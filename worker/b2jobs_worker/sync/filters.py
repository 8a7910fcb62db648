r"""Include and exclude: which names take part in a sync, on both sides alike.

A pattern is a glob over the whole relative name: `*` stops at `/`, `**` does not, `?` is one
character, `[...]` a choice. Without a `/` it matches the last part at any depth
(`*.tmp`), with a trailing `/` everything below such a folder. `re:` in front makes it a
regular expression that must match from the start of the name, as `b2 sync` has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


class Filter:
    """Decides by name. A name excluded takes no part: it is neither copied nor removed.

    As in `b2 sync`, include wins over exclude. Only `include`: nothing else takes part.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = [compiled(pattern) for pattern in include]
        self._exclude = [compiled(pattern) for pattern in exclude]
        self.is_open = not include and not exclude

    def allows(self, name: str) -> bool:
        if any(pattern(name) for pattern in self._include):
            return True
        if not self._exclude:
            return not self._include
        return not any(pattern(name) for pattern in self._exclude)


def compiled(pattern: str) -> Callable[[str], object]:
    """The test that *pattern* stands for.

    Raises:
        ValueError: the pattern is empty or its regular expression is broken.
    """
    if pattern.startswith("re:"):
        try:
            return re.compile(pattern[3:]).match
        except re.error as error:
            raise ValueError(f"the pattern {pattern!r} is broken: {error}") from error
    if not pattern or pattern == "/":
        raise ValueError("a pattern must not be empty")
    return re.compile(_as_regex(pattern), re.DOTALL).match


def _as_regex(glob: str) -> str:
    below = glob.endswith("/")
    body = glob.rstrip("/")
    anchored = "/" in body
    body = body.lstrip("/")
    found = "" if anchored else "(?:.*/)?"
    at = 0
    while at < len(body):
        character = body[at]
        if body.startswith("**/", at):
            found += "(?:.*/)?"
            at += 3
        elif body.startswith("**", at):
            found += ".*"
            at += 2
        elif character == "[" and "]" in body[at + 2 :]:
            end = body.index("]", at + 2)
            chosen = body[at + 1 : end].replace("\\", "\\\\")
            found += f"[^{chosen[1:]}]" if chosen[0] in "!^" else f"[{chosen}]"
            at = end + 1
        else:
            found += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
            at += 1
    return found + ("/.*" if below else "") + r"\Z"
