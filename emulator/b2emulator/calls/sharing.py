"""b2_get_download_authorization, and what its token opens."""

from __future__ import annotations

from b2emulator.access.tokens import DOWNLOAD
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.errors import bad_request
from b2emulator.names import is_header_safe

MAX_SECONDS = 604_800
OVERRIDES = {
    "b2ContentDisposition": "Content-Disposition",
    "b2ContentLanguage": "Content-Language",
    "b2Expires": "Expires",
    "b2CacheControl": "Cache-Control",
    "b2ContentEncoding": "Content-Encoding",
    "b2ContentType": "Content-Type",
}
"""Query parameters of a download, and the header each one sets."""


def checked_override(parameter: str, value: str) -> str:
    """*value*, or bad_request when it cannot stand in a header."""
    if not is_header_safe(value):
        raise bad_request(f"{parameter} has a control character")
    return value


@b2_call
def b2_get_download_authorization(call: Call) -> Json:
    """A token that downloads the names under a prefix, for 1 second to 7 days.

    Overrides given here must be repeated, the same, in each download.
    """
    params = call.params
    prefix = params.optional_text("fileNamePrefix")
    if prefix is None:
        prefix = params.text("fileNamePrefix")
    bucket = call.bucket("shareFiles", name=prefix)
    seconds = params.number("validDurationInSeconds", None, 1, MAX_SECONDS)
    fixed = {
        name: checked_override(name, value)
        for name in OVERRIDES
        if (value := params.optional_text(name)) is not None
    }
    token = call.emulator.tokens.make(
        DOWNLOAD, seconds, bucket=bucket.id, prefix=prefix, fixed=fixed, key=call.grant.key.id
    )
    return {"authorizationToken": token, "bucketId": bucket.id, "fileNamePrefix": prefix}
