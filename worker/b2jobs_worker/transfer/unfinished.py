"""The large file of one job, from its start to its finish, whoever gets in between.

Uploads in parts and copies in parts share it: what an earlier attempt has begun, starting
without an answer, a file that somebody else has cancelled, and removing what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs_worker.attempt import Attempt, Interrupted, Uninterrupted
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer import checkpoint
from b2jobs_worker.transfer.checkpoint import LargeFile
from b2jobs_worker.transfer.committed import Committed, Content
from b2jobs_worker.transfer.target import NewFile

T = TypeVar("T")

_MOST_BEGINNINGS = 3


class Unfinished:
    """The large file of one job, new or begun by an earlier attempt."""

    def __init__(self, client: B2Client, attempt: Attempt) -> None:
        self._client = client
        self._attempt = attempt
        self.left = checkpoint.load(attempt.journal) if attempt.number > 1 else None
        self.file: LargeFile | None = self.left.file if self.left else None
        self._committed: Committed | None = None
        self._may_be_finished = False

    @property
    def file_id(self) -> str | None:
        """The file that was begun last."""
        return self.file.file_id if self.file else None

    def believe(self, own: Committed) -> None:
        """Forget what an earlier attempt is said to have begun, where it is not the job's."""
        if self.file is not None and not own.has_begun(self.file.file_id):
            self.anew()

    def begin(self, new: NewFile, file: LargeFile) -> str:
        """Start *file*, whose id is not known yet, and note it; returns the id.

        Should no answer come, what was started is found by its mark, here or by `remove`.
        """
        self._committed = new.committed
        new.committed.before_first_try()
        self._attempt.journal.record(checkpoint.beginning())
        file_id = self._client.start_large_file(
            new.bucket,
            new.name,
            new.content_type,
            new.info,
            in_doubt=new.committed.find_unfinished,
            protection=new.protection,
        )
        self.file = file.started(file_id)
        self._attempt.journal.record(checkpoint.begun(self.file))
        return file_id

    def finish(self, new: NewFile, sha1s: Sequence[str], **noted: str) -> FileVersion:
        """Make the version of the parts, whatever becomes of the answer; *noted* goes along."""
        assert self.file is not None
        self._attempt.guard()
        self._attempt.journal.record({**noted, "finishing": "1"})
        self._may_be_finished = True
        file_id, size = self.file.file_id, self.file.size
        return self._client.finish_large_file(
            file_id, sha1s, in_doubt=lambda: new.committed.find(Content(size), keep=file_id)
        )

    def anew(self) -> None:
        """Forget the file: it is gone, or of something else."""
        self.left = self.file = None
        self._attempt.journal.clear()

    def discard(self) -> None:
        """Remove the file that was begun, and forget it."""
        if self.file is not None:
            self._client.cancel_large_file(self.file.file_id)
            self.anew()

    def carried(self, send: Callable[[], T]) -> T:
        """What *send* returns, which begins the file or goes on with it.

        Interrupted for good or failed for good, the unfinished file is removed; else it
        stays for the next attempt. Where somebody has cancelled it, *send* begins anew.
        """
        for beginning in range(1, _MOST_BEGINNINGS + 1):
            try:
                return send()
            except JobError as error:
                if not isinstance(error, CallerError) or not self._is_gone():
                    if error.wait is None or error.code == "source_changed":
                        self.remove(error)
                    raise
                self.anew()
                if beginning == _MOST_BEGINNINGS:
                    raise _cancelled_again() from error
            except Interrupted as error:
                if not error.keep:
                    self.remove(error)
                raise
        raise AssertionError("unreachable")

    def remove(self, why: Exception) -> None:
        """Cancel the file, which the attempt leaves because of *why*.

        Should B2 not answer, the journal still knows of it and *why* gets a note.
        """
        client = self._client.on_behalf_of(Uninterrupted(self._attempt))
        try:
            if self.file is not None:
                client.cancel_large_file(self.file.file_id)
            elif self._committed is not None:
                started = self._committed.find_unfinished()
                if started is not None:
                    client.cancel_large_file(started)
            else:
                return
            self.anew()
        except JobError as error:
            why.add_note(f"An unfinished large file stays: {error.message}")
        except Interrupted:
            return  # somebody else's by now: then it is theirs to clear

    def _is_gone(self) -> bool:
        if self.file is None:
            return False
        may_look = {"readFiles", "listFiles"} & self._client.account().capabilities
        if self._may_be_finished and not may_look:
            return False  # gone, or a version by now: nobody can tell
        return not self._client.is_unfinished(self.file.file_id)


def _cancelled_again() -> PassingError:
    return PassingError(
        "large_file_gone",
        f"The unfinished large file was cancelled {_MOST_BEGINNINGS} times while its parts were "
        "sent.",
        hint="Look for a lifecycle rule or a clean-up that cancels unfinished files early.",
    )
