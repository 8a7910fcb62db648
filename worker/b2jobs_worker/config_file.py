"""Where settings come from, and what is wrong with them, in one sentence.

The only reader of the environment and of the config file: values come from `B2JOBS_...` variables
first, then from the TOML file that `B2JOBS_CONFIG` names.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Self

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from b2jobs import redis_url
from b2jobs.config_file import CONFIG_VARIABLE, read
from b2jobs.errors import OperatorError
from b2jobs_worker import variables


class Configured(BaseSettings):
    """Settings that are read from there."""

    model_config = SettingsConfigDict(
        env_prefix="B2JOBS_", frozen=True, extra="ignore", env_nested_delimiter="__"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        path = os.environ.get(CONFIG_VARIABLE)
        if not path:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(path))

    @classmethod
    def read(cls) -> Self:
        """All of them, checked.

        Raises:
            OperatorError: `config_invalid`, naming the file or variable, the field and the value.
        """
        mistyped = variables.unknown(os.environ, cls.model_fields)
        if mistyped:
            raise OperatorError(
                "config_invalid",
                f"No setting is named {', '.join(mistyped)}.",
                hint="Correct or remove it; `b2jobs docs readme` lists all variables.",
            )
        path = os.environ.get(CONFIG_VARIABLE)
        if path:
            check(Path(path), cls.model_fields)
        try:
            return cls()
        except ValidationError as error:
            raise refused(error, path or "it") from error


def config_path() -> Path | None:
    """The config file, if there is one."""
    path = os.environ.get(CONFIG_VARIABLE)
    return Path(path) if path else None


def check(path: Path, known: Collection[str]) -> None:
    """Refuse a file that cannot be read, that everybody may change, or with settings not *known*.

    Raises:
        OperatorError: `config_invalid`, `config_exposed`
    """
    content = read(path)
    unknown = sorted(set(content) - set(known) - {"console"})  # it reads its own
    if unknown:
        told = [name + variables.meant(name, known) for name in unknown]
        raise OperatorError(
            "config_invalid",
            f"The config file {path} has unknown settings: {', '.join(told)}.",
            hint=f"Known are {', '.join(sorted(known))}.",
        )


def refused(error: ValidationError, where: str) -> OperatorError:
    """The first setting that pydantic refused; *where* is the file to correct."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "settings"
    said = f"The setting {field} is refused: {first['msg']}{_given(first['input'])}."
    if field == "redis_url":
        said = str(first["ctx"]["error"])  # it says all of it, without passwords
    hint = f"Set B2JOBS_{field.upper().replace('.', '__')} or correct {where}."
    return OperatorError("config_invalid", said, hint=hint)


def _given(value: object) -> str:
    """A single value that was refused, never a password: a table of settings has some."""
    if isinstance(value, str):
        return f" (given: {redis_url.shown(value) if '://' in value else value!r})"
    return f" (given: {value!r})" if isinstance(value, int | float) else ""
