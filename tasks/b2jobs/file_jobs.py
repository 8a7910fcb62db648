"""What a client may ask about single files that are in B2."""

from __future__ import annotations

from typing import Any, Literal, Unpack

from b2jobs.handle import Handle
from b2jobs.requests.options import (
    AccountOptions,
    CopyOptions,
    DownloadOptions,
    MoveOptions,
    RetentionOptions,
)
from b2jobs.results import HideResult, LockResult, ShareResult, TransferResult


class FileJobs:
    """Methods of `Client`; all of them end in its `ask`, whose errors are theirs."""

    def ask(self, kind: str, **arguments: Any) -> Handle:
        raise NotImplementedError

    def download(
        self, source: str, destination: str | None = None, **options: Unpack[DownloadOptions]
    ) -> Handle[TransferResult]:
        """Fetch *source*; without *destination* up to 256 KiB come back in the result.

        Options: if_exists (replace, skip, fail), range, account and those of every job.
        """
        return self.ask("download", source=source, destination=destination, **options)

    def copy(
        self, source: str, destination: str, **options: Unpack[CopyOptions]
    ) -> Handle[TransferResult]:
        """Copy inside B2, without moving the bytes through the worker.

        The copy carries all that the source carries, but what is named here.

        Options: if_exists, what the file carries (as `upload`), account and those of every job.
        """
        return self.ask("copy", source=source, destination=destination, **options)

    def move(
        self, source: str, destination: str, **options: Unpack[MoveOptions]
    ) -> Handle[TransferResult]:
        """Copy inside B2, check the copy, and then delete the version that was copied.

        Older versions of the source's name stay, hidden where they would come to light.

        Options: those of `copy`, and bypass_governance.
        """
        return self.ask("move", source=source, destination=destination, **options)

    def hide(self, target: str, **options: Unpack[AccountOptions]) -> Handle[HideResult]:
        """Hide a file: its versions stay, and `unhide` shows it again. Needs no `deleteFiles`."""
        return self.ask("hide", target=target, **options)

    def unhide(self, target: str, **options: Unpack[AccountOptions]) -> Handle[HideResult]:
        """Show a hidden file again."""
        return self.ask("unhide", target=target, **options)

    def retention(
        self,
        target: str,
        retention: Literal["governance", "compliance", "none"],
        **options: Unpack[RetentionOptions],
    ) -> Handle[LockResult]:
        """Change until when nobody may delete *target*, a file or one version of it.

        Options: retain_until (a time) or retain_for (seconds, or `30d`), bypass_governance (to
        shorten or end one in governance mode), account and those of every job.
        """
        return self.ask("retention", target=target, retention=retention, **options)

    def hold(
        self, target: str, on: bool = True, **options: Unpack[AccountOptions]
    ) -> Handle[LockResult]:
        """Put *target*, a file or one version of it, under a legal hold, or lift it."""
        return self.ask("hold", target=target, on=on, **options)

    def share(
        self, source: str, seconds: int = 3600, **options: Unpack[AccountOptions]
    ) -> Handle[ShareResult]:
        """Mint a URL that opens a private file for *seconds*, 604,800 at most."""
        return self.ask("share", source=source, seconds=seconds, **options)
