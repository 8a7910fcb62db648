"""Everything that can be set about one emulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Settings:
    """What one emulator runs with; the defaults are B2's own numbers."""

    data: Path | None = None
    """Folder of index and bodies, kept over restarts. None: a temporary folder, gone at the end."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free port."""
    public_url: str | None = None
    """Base URL given to clients. None: whatever host the client itself called."""

    key_id: str | None = None
    application_key: str | None = None
    """The master key. None: made up at the first start and kept in the index."""
    buckets: tuple[str, ...] = ()
    """Private buckets that exist from the start."""

    min_part_size_bytes: int = 5_000_000
    recommended_part_size_bytes: int = 100_000_000
    max_part_count: int = 10_000
    max_upload_bytes: int = 5_000_000_000
    """One upload or one server-side copy; B2 takes 5 GB."""
    max_file_bytes: int = 10_000_000_000_000
    """A large file, all parts together."""
    max_bucket_count: int = 100

    account_token_seconds: int = DAY_SECONDS
    upload_token_seconds: int = DAY_SECONDS

    inline_bytes: int = 16_384
    """Bodies up to this size live in the index; a file for each costs more than it saves."""
    content_md5: bool = True
    """Compute contentMd5. It costs three times the SHA-1; without it the answers say null."""
    discard_bodies: bool = False
    """Keep sizes and checksums only and serve zeros: for runs that measure the client."""
    journal_entries: int = 100_000
    """Calls remembered one by one. Counters never forget. About 0.7 KB of memory each."""
