"""What files carry, through batches and syncs by real workers."""

from __future__ import annotations

import json

import pytest

from support.emulator import LocalB2
from support.installation import Installation
from support.synced import Pair


@pytest.fixture
def pair(stack: Installation, local_b2: LocalB2) -> Pair:
    return Pair(stack, local_b2)


def info(pair: Pair) -> dict[str, dict[str, str]]:
    """File info of what is visible, without the job's mark and the time."""
    own = ("b2jobs_job", "src_last_modified_millis")
    return {
        version.file_name: {
            name: text for name, text in version.file_info.items() if name not in own
        }
        for version, _ in pair.bucket.ls(recursive=True)
    }


def test_batches_and_syncs_set_headers(pair: Pair) -> None:
    for name in ("a", "b", "c"):
        pair.write(name)
    rows = [
        {"source": f"{pair.local}a", "destination": f"{pair.remote}a", "cache_control": "no-store"},
        {"source": f"{pair.local}b", "destination": f"{pair.remote}b"},
    ]
    (pair.folder / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    client = pair.installation.client
    general = {"cache_control": "max-age=3", "content_language": "de"}
    assert client.batch(f"{pair.local}list.jsonl", **general).wait(40).outcomes == {
        "transferred": 2
    }
    language = {"b2-content-language": "de"}
    a, b = (
        {"b2-cache-control": "no-store", **language},
        {"b2-cache-control": "max-age=3", **language},
    )
    assert info(pair) == {"a": a, "b": b}

    pair.up(exclude=["list.jsonl"], content_expires="2044-12-01T16:00:00Z")
    assert info(pair) == {"a": a, "b": b, "c": {"b2-expires": "Thu, 01 Dec 2044 16:00:00 GMT"}}

    other = Pair(pair.installation, pair.local_b2)
    pair.put("untimed", b"x", None)  # a copy of it is told its time, beside what is named
    pair.run(pair.remote, other.remote, content_language="fr", info={"color": "red"})
    red = {"color": "red", "b2-content-language": "fr"}
    assert info(other) == {
        "a": {**a, **red},
        "b": {**b, **red},
        "c": {"b2-expires": "Thu, 01 Dec 2044 16:00:00 GMT", **red},
        "untimed": red,
    }
    assert pair.run(pair.remote, other.remote).items == 0
