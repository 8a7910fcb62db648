"""Reports: written from a ledger, read again to be verified by anybody who has the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from b2jobs import locations
from b2jobs.errors import InvalidJob
from b2jobs.ledger import Digest, report_text
from b2jobs.locations import B2File, InvalidLocation, RootPath, StoreObject

COLUMNS = (
    "item",
    "line",
    "action",
    "source",
    "destination",
    "status",
    "size",
    "sha1",
    "file_id",
    "url",
    "attempts",
    "seconds",
    "code",
    "message",
)


@dataclass(frozen=True)
class Expectation:
    """What a line of a report says of a file; an `absent` one was deleted or hidden.

    bucket: in B2; elsewhere what is before the name: `s3://BUCKET`, `data://ROOT`.
    """

    bucket: str
    name: str
    size: int = 0
    sha1: str = ""
    file_id: str = ""
    absent: bool = False

    def packed(self) -> list[Any]:
        return [self.bucket, self.name, self.size, self.sha1, self.file_id, int(self.absent)]


def csv_lines(lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The report as CSV with a header, without line ends. It has no summary.

    Text that a spreadsheet would take for a formula has an apostrophe before it, and so has text
    that begins with one: without its first apostrophe each cell is what it was.
    """
    yield ",".join(COLUMNS)
    for line in lines:
        buffer = io.StringIO()
        cells = [_cell(line.get(name, "")) for name in COLUMNS]
        csv.writer(buffer).writerow(cells)  # quotes what its own line end is made of
        yield buffer.getvalue().removesuffix("\r\n")


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


# Full-width ones count too where Excel speaks Japanese or Chinese (OWASP, "CSV Injection").
_FORMULA = (*"'=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


class ReportReader:
    """Reads the lines of a report. Once they are read, `summary` has its last line."""

    def __init__(self) -> None:
        self.summary: dict[str, Any] = {}
        self.unchecked = 0
        self._digest = Digest()

    def expectations(self, texts: Iterable[str]) -> Iterator[Expectation]:
        """What the report says is there now. Lines about no place are counted `unchecked`.

        Raises:
            InvalidJob: a line is not one of a report, there is no summary, or the digest of
                the lines is not the one it has.
        """
        for number, text in enumerate(texts, 1):
            if not text.strip():
                continue
            line = _parsed(text, number)
            if isinstance(line.get("summary"), dict):
                self.summary = line["summary"]
                continue
            self._digest.add(report_text(line))
            try:
                expected = _expectation(line)
            except (TypeError, ValueError, OverflowError) as error:
                raise _invalid(f"Line {number} of the report is not one: {error}.") from error
            if expected is None:
                self.unchecked += 1
            else:
                yield expected
        self._check()

    def _check(self) -> None:
        if not self.summary:
            raise _invalid("The report has no summary: its end is missing.")
        if self.summary.get("digest") != self._digest.hexdigest():
            raise _invalid(
                f"The digest of the report's {self._digest.lines} lines is not the one its "
                f"summary has for {self.summary.get('lines')} lines: it was changed."
            )


def _parsed(text: str, number: int) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"Line {number} of the report is not JSON: {error}.") from error
    if not isinstance(line, dict):
        raise _invalid(f"Line {number} of the report is not an object.")
    return line


def _expectation(line: dict[str, Any]) -> Expectation | None:
    try:
        target = locations.parse(str(line.get("destination", "")))
    except InvalidLocation:
        return None
    match target:
        case B2File(bucket=bucket, name=name):
            pass
        case StoreObject(scheme=scheme, bucket=named, key=name):
            bucket = f"{scheme}://{named}"
        case RootPath(root=root, path=name):
            bucket = f"data://{root}"
        case _:
            return None
    if line.get("status") in ("deleted", "hidden"):
        return Expectation(bucket, name, absent=True)
    if line.get("status") not in ("transferred", "unchanged"):
        return None
    return Expectation(
        bucket,
        name,
        int(line.get("size", 0)),
        str(line.get("sha1", "")),
        str(line.get("file_id", "")),
    )


def _invalid(message: str) -> InvalidJob:
    return InvalidJob(
        message,
        code="report_invalid",
        hint="Use the JSON report as `b2jobs batch report` wrote it.",
    )
