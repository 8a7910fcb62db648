"""The config file that workers, the command line and the console share."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from b2jobs.errors import OperatorError

CONFIG_VARIABLE = "B2JOBS_CONFIG"


def read(path: Path) -> dict[str, Any]:
    """Its tables and settings, as TOML has them; what they mean is up to who asked.

    Raises:
        OperatorError: `config_invalid`, or `config_exposed` where everybody may change the file.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = tomllib.load(file)
    except OSError as error:
        raise OperatorError(
            "config_invalid",
            f"The config file {path} cannot be read: {error.strerror}.",
            hint=f"Correct {CONFIG_VARIABLE} or the file's permissions.",
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise OperatorError(
            "config_invalid", f"The config file {path} is not TOML: {error}."
        ) from error
    if mode & stat.S_IWOTH:
        raise OperatorError(
            "config_exposed",
            f"The config file {path} has mode {stat.S_IMODE(mode):04o}: everybody on this machine "
            "can change what it allows.",
            hint="Run chmod go-w on it.",
        )
    return content
