"""The released tools, `b2` and `rclone`, as programs against the local B2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.emulator import LocalB2

_BIN = Path(sys.executable).parent
needs_tools = pytest.mark.skipif(
    not ((_BIN / "b2").exists() and (_BIN / "rclone").exists()), reason="b2 and rclone are missing"
)


class Released:
    """Runs them with one account; `b2("sync", ...)` and `rclone("sync", ...)` give their output."""

    def __init__(
        self,
        folder: Path,
        local_b2: LocalB2,
        *,
        patience_seconds: float = 90,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._patience_seconds = patience_seconds
        account = local_b2.account
        self._config = folder / "rclone.conf"
        self._config.write_text(
            f"[b2]\ntype = b2\naccount = {account['key_id']}\n"
            f"key = {account['application_key']}\nendpoint = {account['realm']}\n"
        )
        self._env = {
            **os.environ,
            "B2_APPLICATION_KEY_ID": account["key_id"],
            "B2_APPLICATION_KEY": account["application_key"],
            "B2_ENVIRONMENT": account["realm"],
            "B2_ACCOUNT_INFO": str(folder / "b2-account"),
            **(env or {}),
        }

    def b2(self, *words: str) -> str:
        return self._run(str(_BIN / "b2"), *words)

    def rclone(self, *words: str) -> str:
        """Its log with one line for each file transferred."""
        return self._run(str(_BIN / "rclone"), "--config", str(self._config), "-v", *words)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=self._patience_seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr
