"""What the released `b2` sets on a bucket we show, and what we set it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from acceptance.conftest import Run
from support.emulator import LocalB2
from support.installation import Installation
from support.released import Released, needs_tools

pytestmark = needs_tools
SECRET = "0123456789abcdef0123456789ABCDEF"
HOST = "hooks.example.com"
CORS = [
    {
        "corsRuleName": "browsers",
        "allowedOrigins": ["https"],
        "allowedOperations": ["b2_download_file_by_name"],
        "maxAgeSeconds": 600,
    }
]
LIFECYCLE = {"fileNamePrefix": "tmp/", "daysFromHidingToDeleting": 3}
SETTINGS = ("type", "lifecycle", "encryption", "lock", "retention", "cors", "info", "notifications")


@pytest.fixture
def b2(tmp_path: Path, local_b2: LocalB2) -> Released:
    return Released(tmp_path, local_b2)


@pytest.fixture
def notifying(stack: Installation) -> Installation:
    """The stack, whose secrets file has what signs notifications."""
    secrets = json.loads(stack.secrets.read_text())
    accounts = secrets if "accounts" in secrets else {"accounts": {"default": secrets}}
    stack.secrets.write_text(json.dumps({**accounts, "notifications": {HOST: {"sign": SECRET}}}))
    return stack


def read(text: str) -> Any:
    """The JSON that `b2` begins its output with."""
    return json.JSONDecoder().raw_decode(text)[0]


def test_what_the_tool_set_we_show_and_what_we_set_the_tool_shows(
    cli: Run, b2: Released, notifying: Installation
) -> None:
    theirs, ours, client = "set-up-by-the-tool", "set-up-like-the-tool", notifying.client
    created = ("--cors-rules", json.dumps(CORS), "--lifecycle-rule", json.dumps(LIFECYCLE))
    b2.b2("bucket", "create", theirs, "allPublic", *created, "--file-lock-enabled",
          "--default-server-side-encryption", "SSE-B2",
          "--bucket-info", '{"cache-control": "max-age=60"}')  # fmt: skip
    b2.b2("bucket", "update", theirs, "--default-retention-mode", "governance",
          "--default-retention-period", "7 days")  # fmt: skip
    b2.b2("bucket", "notification-rule", "create", f"b2://{theirs}/in/", "told-of-uploads",
          "--event-type", "b2:ObjectCreated:Upload", "--webhook-url", f"https://{HOST}/b2",
          "--sign-secret", SECRET)  # fmt: skip

    people = cli("bucket", "show", theirs)
    [found] = client.bucket("show", theirs).wait(60).buckets
    assert SECRET not in json.dumps(found) + people.out
    told = f"told-of-uploads: b2:ObjectCreated:Upload of in/* to https://{HOST}/b2, signed"
    for line in (
        f"bucket         {theirs} (public)",
        "lifecycle      tmp/*: deleted 3 days after being hidden",
        "encryption     SSE-B2",
        "retention      governance for 7 days",
        f"notifications  {told}",
        "info           cache-control: max-age=60",
    ):
        assert line in people.out, people.out

    settings: dict[str, Any] = {name: found[name] for name in SETTINGS}
    assert client.bucket("update", theirs, **settings).wait(60).status == "unchanged"
    made = client.bucket("create", ours, **settings).wait(60)
    assert made.status == "created"
    before = str(made.buckets[0]["revision"] - 1)
    late = cli("bucket", "update", ours, "--type", "private", "--if-revision", before, "--wait")
    assert (late.status, "[conflict]" in late.err) == (1, True)
    shown = read(b2.b2("bucket", "get", ours))
    [rule] = read(b2.b2("bucket", "notification-rule", "list", "--json", f"b2://{ours}/"))
    assert shown["bucketType"] == "allPublic"
    assert shown["lifecycleRules"] == [{**LIFECYCLE, "daysFromUploadingToHiding": None}]
    assert shown["corsRules"][0]["corsRuleName"] == "browsers"
    assert shown["defaultServerSideEncryption"]["mode"] == "SSE-B2"
    assert shown["isFileLockEnabled"] is True
    assert shown["defaultRetention"]["period"] == {"duration": 7, "unit": "days"}
    assert rule["targetConfiguration"]["hmacSha256SigningSecret"] == SECRET
    kept = [str(notifying.redis.dump(key)) for key in notifying.redis.scan_iter()]
    assert [dump for dump in kept if SECRET in dump] == []
