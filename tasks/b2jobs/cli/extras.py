"""The other packages of b2jobs, which the command line starts and never imports."""

from __future__ import annotations

import os
import sys
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


def become(module: str, *arguments: str) -> NoReturn:
    """Go on as `python -m MODULE`, in this very process: signals need no forwarding."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
