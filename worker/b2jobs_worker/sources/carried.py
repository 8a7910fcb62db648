"""What a place says about a file besides its bytes, as B2 can carry it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from b2jobs.metadata import MODIFIED_MILLIS
from b2jobs.requests.info import HEADERS_IN_INFO, check_header, check_info
from b2jobs_worker.sources.target import MARK, MTIME, said_modified


@dataclass(frozen=True)
class Carried:
    """*info*: entries of a file's info in B2. *lost*: names of what B2 would refuse."""

    info: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    def into(self, info: Mapping[str, str], most: int) -> tuple[dict[str, str], list[str]]:
        """*info*, which wins, with as many of these as B2 takes beside it; and what is lost."""
        together, lost = dict(info), list(self.lost)
        for name, text in self.info.items():
            if name in together:
                continue
            try:
                if len(together) >= most:
                    raise ValueError("is full")
                together = check_info({**together, name: text})
            except ValueError:
                lost.append(name)
        return together, lost


def carried(
    headers: Mapping[str, str], own: Iterable[str] = (), *, expires: bool = False
) -> Carried:
    """The headers of an answer that go along, and the entries whose names begin with one of *own*.

    *expires*: carry `Expires` too. A web server computes it for each answer, a store keeps it.
    """
    info: dict[str, str] = {}
    lost: list[str] = []
    for given, text in sorted((name.lower(), text.strip()) for name, text in headers.items()):
        if f"b2-{given}" in HEADERS_IN_INFO and (given != "expires" or expires):
            kept = _encoding(text) if given == "content-encoding" else text
            if kept and _is_header(f"b2-{given}", kept):
                info[f"b2-{given}"] = kept
            elif kept:
                lost.append(given)
        else:
            for prefix in own:
                if given.startswith(prefix):
                    info[given.removeprefix(prefix)] = text
    info.pop(MARK, None)
    if said_modified(info) is not None:
        # It goes along as the source's time.
        info.pop(MTIME, None)
        info.pop(MODIFIED_MILLIS, None)
    return Carried(info, tuple(lost))


def _encoding(text: str) -> str:
    """Without what belongs to the way only, not to the bytes that were kept."""
    kept = (part.strip() for part in text.split(","))
    return ", ".join(part for part in kept if part.lower() not in ("", "identity", "aws-chunked"))


def _is_header(name: str, text: str) -> bool:
    try:
        check_header(name, text)
    except ValueError:
        return False
    return True
