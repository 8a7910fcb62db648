"""How versions are protected, as calls need it: encryption, retention, legal hold."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from b2sdk.v3 import (
    EncryptionAlgorithm,
    EncryptionKey,
    EncryptionMode,
    EncryptionSetting,
    FileRetentionSetting,
    LegalHold,
    RetentionMode,
)
from pydantic import SecretStr

SSE_B2, SSE_C = "SSE-B2", "SSE-C"


@dataclass(frozen=True)
class Encryption:
    """B2's own, or that with a customer's key, which `repr` does not show.

    key_name: what the secrets file calls the key; empty for B2's.
    """

    key_name: str = ""
    key: SecretStr | None = field(default=None, repr=False)

    @property
    def is_customers(self) -> bool:
        return self.key is not None

    def setting(self) -> Any:
        """As b2sdk has it; it does not show the key either."""
        if self.key is None:
            return EncryptionSetting(EncryptionMode.SSE_B2, EncryptionAlgorithm.AES256)
        secret = base64.b64decode(self.key.get_secret_value())
        return EncryptionSetting(
            EncryptionMode.SSE_C, EncryptionAlgorithm.AES256, EncryptionKey(secret, None)
        )


@dataclass(frozen=True)
class Retention:
    """Nobody deletes the version before *until*; `governance` can be lifted, `compliance` not."""

    mode: str
    until_millis: int

    def setting(self) -> Any:
        return FileRetentionSetting(RetentionMode(self.mode), self.until_millis)

    @property
    def can_be_lifted(self) -> bool:
        """Whether a key with bypassGovernance may shorten it."""
        return self.mode == "governance"

    @property
    def until(self) -> datetime:
        return datetime.fromtimestamp(self.until_millis / 1000, UTC)

    def __str__(self) -> str:
        return f"{self.mode} until {self.until:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Protection:
    """What protects a version that is made. Nothing of it leaves that to the bucket."""

    encryption: Encryption | None = None
    retention: Retention | None = None
    is_held: bool = False

    def __bool__(self) -> bool:
        return bool(self.encryption or self.retention or self.is_held)

    @property
    def customers(self) -> Encryption | None:
        """The encryption that each part must be sent with again."""
        encryption = self.encryption
        return encryption if encryption is not None and encryption.is_customers else None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What a key needs to ask for it."""
        retains = ("writeFileRetentions",) if self.retention is not None else ()
        return (*retains, "writeFileLegalHolds") if self.is_held else retains

    def arguments(self, encryption: str = "server_side_encryption") -> dict[str, Any]:
        """As b2sdk takes it; *encryption* is the name of that argument."""
        asked: dict[str, Any] = {}
        if self.encryption is not None:
            asked[encryption] = self.encryption.setting()
        if self.retention is not None:
            asked["file_retention"] = self.retention.setting()
        if self.is_held:
            asked["legal_hold"] = LegalHold.ON
        return asked


NOTHING = Protection()


def setting(encryption: Encryption | None) -> Any:
    """*encryption* as b2sdk has it, None where there is none."""
    return None if encryption is None else encryption.setting()
