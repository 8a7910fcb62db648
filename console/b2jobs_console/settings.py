"""What the console is told: its tokens, where it listens, under which names it is reached.

From `B2JOBS_CONSOLE_...` first, then from the table `[console]` of the file that
`B2JOBS_CONFIG` names. Of that file's other settings only those that say where Redis is are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from b2jobs import config_file
from b2jobs.config_file import CONFIG_VARIABLE
from b2jobs.errors import OperatorError

PREFIX = "B2JOBS_CONSOLE_"
LEAST_TOKEN_LENGTH = 16

Token = Annotated[SecretStr, Field(min_length=LEAST_TOKEN_LENGTH, max_length=1024)]


class Settings(BaseModel):
    """One frozen object.

    token: who logs in with it may look and act. read_token: may look.
    token_file, read_token_file: files that hold them instead.
    hosts: names under which the console is reached, besides localhost and this machine's name;
        requests for others are refused, so that no foreign page can reach it through a browser.
    https: it is reached over TLS (a proxy ends it): cookies are sent over that alone.
    metrics_login: /metrics, /healthz and /readyz want `Authorization: Bearer TOKEN` too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: Token | None = None
    read_token: Token | None = None
    token_file: Path | None = None
    read_token_file: Path | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8585
    hosts: tuple[str, ...] = ()
    https: bool = False
    metrics_login: bool = False

    redis_url: str | None = Field(None, repr=False)
    key_prefix: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name in ("token", "read_token"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"give either {name} or {name}_file")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether it can be reached from this machine alone."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def load(environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
    """Read the settings; *given* (options of the command line that are not None) come first.

    Raises:
        OperatorError: `config_invalid`, `config_exposed`, or `console_token_missing` where it is
            to listen beyond this machine and nobody would have to log in.
    """
    path = environment.get(CONFIG_VARIABLE)
    content = config_file.read(Path(path)) if path else {}
    table = content.get("console", {})
    if not isinstance(table, dict):
        raise OperatorError("config_invalid", f"console in {path} is no table.")
    # A host and a port have no variables: Kubernetes gives B2JOBS_CONSOLE_PORT to its containers.
    names = sorted(set(Settings.model_fields) - {"host", "port", "redis_url", "key_prefix"})
    said: dict[str, Any] = {
        name: value for name in names if (value := environment.get(PREFIX + name.upper()))
    }
    if "hosts" in said:
        said["hosts"] = tuple(name.strip() for name in said["hosts"].split(",") if name.strip())
    redis = {
        name: environment.get(f"B2JOBS_{name.upper()}") or content.get(name)
        for name in ("redis_url", "key_prefix")
    }
    values = {**table, **said, **redis, **{k: v for k, v in given.items() if v is not None}}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise OperatorError(
            "config_invalid",
            f"The console's setting {field or 'token'} is refused: {first['msg']}.",
            hint=f"Correct [console] in {path or 'the config file'}, or {PREFIX}{field.upper()}. "
            f"Known are {', '.join(sorted(Settings.model_fields))}.",
        ) from error
    if path and {"token", "read_token"} & set(table):
        _check_mode(Path(path))
    settings = settings.model_copy(update=_from_files(settings))
    if not settings.is_loopback and not (settings.token or settings.read_token):
        raise OperatorError(
            "console_token_missing",
            f"The console would show everything to everybody who reaches {settings.host}.",
            hint=f"Set {PREFIX}TOKEN or [console] token (openssl rand -hex 32), or listen on "
            "127.0.0.1.",
        )
    return settings


def _from_files(settings: Settings) -> dict[str, SecretStr]:
    found = {}
    for name in ("token", "read_token"):
        path = getattr(settings, f"{name}_file")
        if path is None:
            continue
        try:
            text = path.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise OperatorError(
                "config_invalid", f"{name}_file {path} cannot be read: {error}."
            ) from error
        if not text:  # as compose mounts it where none is named
            continue
        if len(text) < LEAST_TOKEN_LENGTH:
            raise OperatorError(
                "config_invalid",
                f"The token in {path} is shorter than {LEAST_TOKEN_LENGTH} characters.",
                hint="openssl rand -hex 32 makes one.",
            )
        _check_mode(path)
        found[name] = SecretStr(text)
    return found


def _check_mode(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o007:
        raise OperatorError(
            "config_exposed",
            f"{path} holds a token of the console and has mode {mode:04o}: everybody on this "
            "machine can read it.",
            hint=f"Run chmod o-rwx on it, or set {PREFIX}TOKEN instead.",
        )
