"""What the journal of a large upload or copy holds, as a value.

"beginning"  "1" from before a file is started: one may be there, known by its mark only
"large"      the file this is about, as JSON: written once, when it was started
"part.N"     SHA-1 of part N, which B2 has
"digest"     OFFSET:STATE, the digest of the source's first OFFSET bytes
"sha1"       of the whole source, once it was read to its end
"finishing"  "1" from before the file is finished: it may be committed
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace

from b2jobs_worker.attempt import Journal

_PART = "part."


@dataclass(frozen=True)
class LargeFile:
    """An unfinished large file, and what it is made of."""

    file_id: str
    bucket_id: str
    name: str
    identity: str
    size: int | None
    part_bytes: int

    def started(self, file_id: str) -> LargeFile:
        return replace(self, file_id=file_id)


@dataclass
class Checkpoint:
    """The journal as it was when this attempt began."""

    file: LargeFile
    parts: dict[int, str] = field(default_factory=dict)
    digest_offset: int = 0
    digest_state: str | None = None
    sha1: str | None = None
    is_finishing: bool = False


def load(journal: Journal) -> Checkpoint | None:
    """What an earlier attempt has left; None when it had not begun a large file."""
    fields = journal.load()
    if "large" not in fields:
        return None
    offset, _, state = fields.get("digest", "0:").partition(":")
    return Checkpoint(
        file=LargeFile(**json.loads(fields["large"])),
        parts={
            int(name.removeprefix(_PART)): value
            for name, value in fields.items()
            if name.startswith(_PART)
        },
        digest_offset=int(offset),
        digest_state=state or None,
        sha1=fields.get("sha1"),
        is_finishing=fields.get("finishing") == "1",
    )


def beginning() -> dict[str, str]:
    """The field to record before a file is started."""
    return {"beginning": "1"}


def may_have_begun(journal: Journal) -> bool:
    """Whether a file may have been started that the journal does not know."""
    fields = journal.load()
    return fields.get("beginning") == "1" and "large" not in fields


def begun(file: LargeFile) -> dict[str, str]:
    """The fields to record when *file* was started."""
    return {"large": json.dumps(asdict(file), separators=(",", ":"))}


def part_done(number: int, sha1: str) -> dict[str, str]:
    return {f"{_PART}{number}": sha1}


def digest_at(offset: int, state: str | None) -> dict[str, str]:
    return {"digest": f"{offset}:{state or ''}"}
