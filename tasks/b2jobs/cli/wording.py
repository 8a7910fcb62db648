"""What messages and hints say in Python's words, in those of the command line.

`if_exists="skip"` is `--if-exists skip` there. Errors are data that crosses Redis and say it for
Python; here they are read by whoever types options.
"""

from __future__ import annotations

import re

from b2jobs.requests.kinds import KINDS, PUBLIC_KINDS

WITHOUT_OPTION = {
    *("source", "destination", "target", "manifest", "name", "action", "on"),
    *("hash_first", "ledger"),
}
"""Fields of requests that are arguments of a command, or that no command offers."""
OPTIONS = {field for kind in PUBLIC_KINDS for field in KINDS[kind].given()} - WITHOUT_OPTION
_PHRASES = (
    ("handed over as pathlib.Path(...)", "written as ./FILE"),
    ("the bytes themselves, a pathlib.Path or a file object as the source", "./FILE, or - (stdin)"),
    ("bytes, a pathlib.Path or a file object", "./FILE, or - (stdin)"),
)
_names = "|".join(sorted(OPTIONS, key=len, reverse=True))
_long = "|".join(sorted((name for name in OPTIONS if "_" in name), key=len, reverse=True))
_WITH_VALUE = re.compile(rf"(?<![\w./:'\"-])({_names})=(?:'([^']*)'|\"([^\"]*)\"|(\w+))")
_QUOTED = re.compile(rf"`({_names})`")
_BARE = re.compile(rf"(?<![\w./:'\"`=-])({_long})(?![\w/:'\"`=-]|\.\w)")
_AS_PREFIX = re.compile(rf"\A(?!(?:{'|'.join(PUBLIC_KINDS)}): )({_names})(?=: | is )")


def for_command_line(text: str) -> str:
    """*text* with options where it has arguments of Python; names of files stay as they are."""
    for said, instead in _PHRASES:
        text = text.replace(said, instead)
    text = _WITH_VALUE.sub(_option_with_value, text)
    text = _QUOTED.sub(lambda found: f"`{_option(found[1])}`", text)
    text = _AS_PREFIX.sub(lambda found: _option(found[1]), text)
    return _BARE.sub(lambda found: _option(found[1]), text)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _option_with_value(found: re.Match[str]) -> str:
    value = found[2] or found[3] or found[4] or ""
    match value:
        case "True":
            return _option(found[1])
        case "False":
            return _option(f"no_{found[1]}")
        case _:
            return f"{_option(found[1])} {value}"
