"""A manifest of this machine, or what a pipe brings: checked here, streamed to the workers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from b2jobs import manifest
from b2jobs.batches import BatchHandle
from b2jobs.cli.exits import complain
from b2jobs.cli.session import Session
from b2jobs.duplicates import DuplicateFinder
from b2jobs.errors import InvalidJob
from b2jobs.items import Item, Planned, Refusal

_SHOWN_PROBLEMS = 20


def submit(session: Session, name: str, options: dict[str, Any]) -> BatchHandle:
    """Check a manifest of this machine, say what is wrong by line, and stream the rest.

    Raises:
        InvalidJob: `manifest_unreadable`, `plan_refused`, `manifest_changed`
    """
    with _readable_twice(name) as file:
        checked = _Checked(file, name)
        for problem in checked.problems:
            complain(f"{name}: {problem}")
        if checked.refused > len(checked.problems):
            complain(
                f"{name}: {checked.refused - len(checked.problems)} more lines cannot be done."
            )
        if options.pop("strict", False) and checked.refused:
            raise InvalidJob(
                f"{checked.refused} lines of {name} cannot be done; nothing was submitted.",
                code="plan_refused",
                hint="Correct them, or leave out --strict to do the others.",
            )
        return session.client.batch_rows(checked.again(), **options)


@contextlib.contextmanager
def _readable_twice(name: str) -> Iterator[IO[bytes]]:
    """The manifest *name*; what is no regular file (`-`, a pipe) is kept in a temporary one."""
    with contextlib.ExitStack() as stack:
        try:
            file = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
            if name == "-" or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                kept = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, kept)
                file = kept
        except OSError as error:
            raise _unreadable(name, error) from error
        yield file


def _unreadable(name: str, error: OSError) -> InvalidJob:
    if isinstance(error, IsADirectoryError):
        return InvalidJob(
            f"{name} is a folder of this machine, which workers do not see.",
            code="manifest_unreadable",
            hint="Name it as the workers do, with where it goes: data://ROOT/folder/ "
            "b2://BUCKET/folder/. Of this machine a list of files is taken: ./list.csv.",
            field="source",
        )
    return InvalidJob(
        f"The manifest {name} cannot be read: {error.strerror}.",
        code="manifest_unreadable",
        hint="Name a file of this machine, data://ROOT/list.csv or, with a DESTINATION, a folder "
        "such as data://ROOT/folder/.",
        field="source",
    )


class _Checked:
    """A manifest that was read once: what is wrong with it, and its rows once more."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self.refused = 0
        self.problems: list[Refusal] = []
        with DuplicateFinder() as duplicates:
            digest = hashlib.blake2b()
            for row in self._rows(digest):
                if isinstance(row, Refusal):
                    self._note(row)
                else:
                    duplicates.add(row.line, row.destination)
            repeats = duplicates.repeats()
        self._digest = digest.digest()
        self._repeats = set(repeats)
        for line in repeats:
            self._note(manifest.repeated(Item("upload", "", "", line=line)))
        self.problems.sort(key=lambda problem: problem.line)

    def again(self) -> Iterator[Planned]:
        """The rows for the workers.

        Raises:
            InvalidJob: `manifest_changed`, behind the last of them.
        """
        digest = hashlib.blake2b()
        for row in self._rows(digest):
            if isinstance(row, Item) and row.line in self._repeats:
                yield manifest.repeated(row)
            else:
                yield row
        if digest.digest() != self._digest:
            raise InvalidJob(
                f"The manifest {self._name} was changed while it was read.",
                code="manifest_changed",
            )

    def _rows(self, digest: hashlib.blake2b) -> Iterator[Planned]:
        self._file.seek(0)
        reader = manifest.Reader()
        content = manifest.decompressed(self._file, self._name)
        for line in manifest.lines(content, self._name):
            digest.update(line.raw)
            row = reader.read(line.raw, line.number)
            if row is not None:
                yield row

    def _note(self, problem: Refusal) -> None:
        self.refused += 1
        if len(self.problems) < _SHOWN_PROBLEMS:
            self.problems.append(problem)
