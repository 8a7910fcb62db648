"""Names that one side refuses, written another way that can be read back (docs/names.md).

`to_b2` turns a local path into the name it has in B2, `to_local` turns it back. They are each
other's inverse: every local path has a name of its own, and every name of B2 a path of its own,
so what goes up and down again, or down and up, has the name it had. One exception: an empty part,
which B2 has from other tools and takes from nobody now, comes down as one that goes up otherwise.
Nearly all names stay as they are.

Characters are those of rclone's encoding: `␊` for a line feed, `QUOTE` before what stands for
itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from b2jobs.locations import LocalPath, Location, RootPath

QUOTE = "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}"
FOREIGN = f"{QUOTE}="
"""Before a part of a name in B2 that no local name gives, such as `..` or an empty one."""
MOST_PART_BYTES = 250
_PICTURES = {code: chr(0x2400 + code) for code in range(1, 32)} | {127: "\N{SYMBOL FOR DELETE}"}
_PLAIN = re.compile(r"[ -~]{1,250}\Z").match
_CODES = {picture: chr(code) for code, picture in _PICTURES.items()}
_HEX = re.compile(r"[89A-F][0-9A-F]")


def to_b2(path: str) -> str:
    """The name in B2 of a local *path*, whose bytes that are no text are surrogates."""
    return "/".join(map(part_to_b2, path.split("/")))


def part_to_b2(part: str) -> str:
    """One part of a path; a long one becomes several, each but the last with `QUOTE` at its end."""
    if _PLAIN(part):
        return part
    rest = part[len(FOREIGN) :]
    if rest and part.startswith(FOREIGN) and _is_foreign(rest):
        return rest
    return _split(_escaped(part))


def to_local(name: str) -> str:
    """The local path of a *name* in B2: never absolute, without empty parts, `.` and `..`."""
    parts = name.split("/")
    found: list[str] = []
    at = 0
    while at < len(parts):
        end = at
        while end < len(parts) - 1 and _goes_on(parts[end]):
            end += 1
        whole = "".join(part[:-1] for part in parts[at:end]) + parts[end]
        if end > at and _split(whole) == "/".join(parts[at : end + 1]) and not _is_foreign(whole):
            found.append(_unescaped(whole))
            at = end + 1
        else:
            found.append(_part_to_local(parts[at]))
            at += 1
    return "/".join(found)


def _part_to_local(part: str) -> str:
    if part.isascii() and part.isprintable() and part not in ("", ".", ".."):
        return part
    return FOREIGN + part if _is_foreign(part) else _unescaped(part)


def _is_foreign(part: str) -> bool:
    """Whether no local name is written as *part*."""
    if part in ("", ".", ".."):
        return True
    local = _unescaped(part)
    if _escaped(local) != part:
        return True
    rest = local[len(FOREIGN) :]
    return bool(rest) and local.startswith(FOREIGN) and _is_foreign(rest)


def _escaped(part: str) -> str:
    made: list[str] = []
    for character in part:
        code = ord(character)
        if code in _PICTURES:
            made.append(_PICTURES[code])
        elif 0xDC80 <= code <= 0xDCFF:
            made.append(f"{QUOTE}{code - 0xDC00:02X}")
        elif character in _CODES or character == QUOTE:
            made.append(QUOTE + character)
        else:
            made.append(character)
    return "".join(made)


def _unescaped(part: str) -> str:
    made: list[str] = []
    at = 0
    while at < len(part):
        character, following = part[at], part[at + 1 : at + 2]
        if character == QUOTE and following and (following in _CODES or following == QUOTE):
            made.append(following)
            at += 2
        elif character == QUOTE and _HEX.match(part, at + 1):
            made.append(chr(0xDC00 + int(part[at + 1 : at + 3], 16)))
            at += 3
        else:
            made.append(_CODES.get(character, character))
            at += 1
    # Bytes that are text when they stand together are one character on the disk.
    return "".join(made).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _goes_on(part: str) -> bool:
    """Whether a part has a `QUOTE` at its end that quotes nothing."""
    return (len(part) - len(part.rstrip(QUOTE))) % 2 == 1


def _split(escaped: str) -> str:
    """An escaped part in pieces that B2 takes."""
    if len(escaped.encode()) <= MOST_PART_BYTES:
        return escaped
    most = MOST_PART_BYTES - len(QUOTE.encode())
    pieces, piece, size = [], "", 0
    for token in re.findall(f"{QUOTE}(?:[89A-F][0-9A-F]|.)|.", escaped, re.DOTALL):
        length = len(token.encode())
        if size + length > most:
            pieces.append(piece)
            piece, size = "", 0
        piece += token
        size += length
    return f"{QUOTE}/".join([*pieces, piece])


# -- locations ----------------------------------------------------------------------------


@dataclass(frozen=True)
class DecodedRootPath(RootPath):
    """A path below a root that was written encoded; it is shown as it was written."""

    written: str = ""

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True)
class DecodedLocalPath(LocalPath):
    """An absolute path that was written encoded."""

    written: str = ""

    def __str__(self) -> str:
        return self.written


def decoded(location: Location) -> Location:
    """The place that an encoded *location* means; other places than local ones are as they are."""
    match location:
        case RootPath(root=root, path=path):
            return DecodedRootPath(root, _read_back(path), str(location))
        case LocalPath(path=path):
            return DecodedLocalPath("/" + _read_back(path.lstrip("/")), str(location))
    return location


def _read_back(path: str) -> str:
    """A path as `written` and `encoded` write it; a `/` at its end is that of a folder."""
    stem = path.removesuffix("/")
    return (to_local(stem) if stem else "") + path[len(stem) :]


def written(name: str) -> str:
    """How the local path of a *name* in B2 is written in a location."""
    return to_b2(to_local(name))


def encoded(folder: RootPath | LocalPath) -> str:
    """How a *folder* is written so that `decoded` means it; ends in `/`."""
    path = folder.path.strip("/")
    made = f"{to_b2(path)}/" if path else ""
    return f"data://{folder.root}/{made}" if isinstance(folder, RootPath) else f"file:///{made}"
