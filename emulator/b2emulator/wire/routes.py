"""From the path of a request to what is asked. The raw path: `..` in a file name is a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from b2emulator.errors import B2Error, not_found
from b2emulator.names import percent_decode

DOWNLOAD_BY_NAME, DOWNLOAD_BY_ID = "b2_download_file_by_name", "b2_download_file_by_id"
UPLOAD_FILE, UPLOAD_PART = "b2_upload_file", "b2_upload_part"
_API = re.compile(r"/b2api/v(?P<version>\d+)/(?P<call>b2_[a-z_]+)(?:/(?P<target>[^/]+)(?:/.*)?)?")
_VERSIONS = range(1, 5)


@dataclass(frozen=True, slots=True)
class Route:
    """What a path asks for."""

    call: str
    api_version: int = 4
    target: str = ""
    """Upload: bucket id or file id. Download by name: the bucket's name."""
    name: str = ""
    query: str = ""

    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))


def route(raw_path: str) -> Route:
    """Raises not_found for a path that is no call, bad_request for a version B2 has not."""
    path, _, query = raw_path.partition("?")
    if path.startswith("/file/"):
        bucket, _, name = path[len("/file/") :].partition("/")
        if not name:
            raise not_found("File with such name does not exist.")
        return Route(
            DOWNLOAD_BY_NAME, target=percent_decode(bucket), name=percent_decode(name), query=query
        )
    match = _API.fullmatch(path)
    if match is None:
        raise not_found(f"no such path: {path[:200]}")
    version = int(match["version"])
    if version not in _VERSIONS:
        raise B2Error(400, "bad_request", f"Invalid API version: v{version}")
    return Route(match["call"], version, match["target"] or "", query=query)
