"""B2's own X-Bz-Test-Mode header, with which a client asks for trouble."""

from __future__ import annotations

import random

from b2emulator.errors import B2Error, expired_auth_token

CHANCE = 0.1


def test_mode_error(mode: str | None, call: str) -> B2Error | None:
    """The error this call gets under *mode*, or None."""
    if mode is None:
        return None
    is_upload = call in ("b2_upload_file", "b2_upload_part")
    if mode == "fail_some_uploads" and is_upload and random.random() < CHANCE:
        return B2Error(503, "service_unavailable", "failed on request: X-Bz-Test-Mode")
    if mode == "expire_some_account_authorization_tokens" and random.random() < CHANCE:
        return expired_auth_token("expired on request: X-Bz-Test-Mode")
    if mode == "force_cap_exceeded" and call in (
        *("b2_get_upload_url", "b2_get_upload_part_url", "b2_upload_file", "b2_upload_part"),
        "b2_start_large_file",
    ):
        return B2Error(403, "cap_exceeded", "Cannot upload files, storage cap exceeded.")
    return None
