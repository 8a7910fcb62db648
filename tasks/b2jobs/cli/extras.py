"""The other packages of b2jobs, which the command line starts and never imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn

from b2jobs.cli.exits import CommandFailed

_MODULES = {
    "worker": ("b2jobs_worker", "b2sdk", "celery", "packaging", "pydantic_settings"),
    "emulator": ("b2emulator", "aiohttp"),
    "console": ("b2jobs_console", "aiohttp", "jinja2", "prometheus_client"),
}


def need(extra: str, installed_by: str = "") -> None:
    """Make sure that what b2jobs[*extra*] brings is installed.

    *installed_by* is the extra to name instead, which brings it too.

    Raises:
        CommandFailed: `extra_missing`, naming the module and the command that installs it.
    """
    missing = [name for name in _MODULES[extra] if find_spec(name) is None]
    if missing:
        raise CommandFailed(
            f"This needs the Python package {missing[0]}, which is not installed.",
            code="extra_missing",
            hint=f"Run: pip install 'b2jobs[{installed_by or extra}]'",
        )


class Becoming(BaseException):
    """Raised to leave the command line, which then goes on as another program."""

    def __init__(self, module: str, arguments: tuple[str, ...]) -> None:
        super().__init__(module)
        self.module = module
        self.arguments = arguments

    def load(self) -> Callable[[tuple[str, ...]], int]:
        """What that program does with its arguments; its exit status."""
        program: Callable[[tuple[str, ...]], int] = import_module(f"{self.module}.__main__").main
        return program


def become(module: str, *arguments: str, afresh: bool = False) -> NoReturn:
    """Go on as `python -m MODULE`, in this very process: signals need no forwarding.

    What is loaded stays: another Python would take half a second until it is there again.
    *afresh*: another all the same, whose command line shows nothing but *arguments*.
    """
    if not afresh:
        raise Becoming(module, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
