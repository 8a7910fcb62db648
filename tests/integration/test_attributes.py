"""What files carry, through batches and syncs by real workers."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from b2sdk.v3 import EncryptionAlgorithm, EncryptionKey, EncryptionMode, EncryptionSetting
from redis import Redis

from b2jobs.errors import JobFailed
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


def kept(installation: Installation) -> str:
    """All that is in Redis and in the logs."""
    redis: Any = Redis.from_url(installation.redis_url)
    read: dict[bytes, Callable[[bytes], object]] = {
        b"hash": redis.hgetall,
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"stream": redis.xrange,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"set": redis.smembers,
    }
    found: list[str] = []
    for key in redis.scan_iter(match=f"{installation.key_prefix}*", count=1000):
        value = read[redis.type(key)](key)
        found.append(repr(value))
        packed = value.values() if isinstance(value, dict) else [value]
        found += [
            str(zlib.decompress(each, 47))
            for each in packed
            if isinstance(each, bytes) and each[:1] in (b"\x1f", b"\x78")
        ]
    logs = [path.read_text() for path in installation.folder.glob("*.log")]
    assert logs
    return "".join([*found, *logs])


KEYS = {name: base64.b64encode(name.encode() * 16).decode() for name in ("k1", "k2")}
SETTING = EncryptionSetting(
    EncryptionMode.SSE_C, EncryptionAlgorithm.AES256, EncryptionKey(b"k1" * 16, "k1")
)
POLICY = """
[policy.producers."*"]
customer_keys = ["k1"]
"""


@pytest.fixture
def keyed(make_installation: Any, local_b2: LocalB2) -> Iterator[Pair]:
    """A pair of a worker that has customers' keys, of which its policy allows one."""
    account = {**local_b2.account, "customer_keys": KEYS}
    installation = make_installation(account=account)
    installation.config.write_text(installation.config.read_text() + POLICY)
    installation.start_worker(B2JOBS_PROCESSES="1")
    return Pair(installation, local_b2)


def test_batches_and_syncs_go_with_a_customer_s_key(keyed: Pair) -> None:
    """Files with the key and files without, in one batch, one manifest, one sync."""
    client, pair = keyed.installation.client, keyed
    for name in ("a", "b"):
        pair.write(name, name * 10)
    assert pair.up(encryption="SSE-C:k1").outcomes == {"transferred": 2}
    pair.put("plain", b"plain")
    pair.bucket.upload_bytes(b"theirs", "theirs", encryption=SETTING)

    wrong = client.batch(pair.remote, f"data://.my/{pair.name}-none/")
    with pytest.raises(JobFailed, match="customer_key_needed 3"):
        wrong.wait(40)
    down = f"data://.my/{pair.name}-down/"
    batch = client.batch(pair.remote, down, customer_key="k1")
    assert batch.wait(40).outcomes == {"transferred": 4}
    folder = pair.installation.data / f"{pair.name}-down"
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {"a": b"a" * 10, "b": b"b" * 10, "plain": b"plain", "theirs": b"theirs"}

    rows = [{"source": pair.remote + name, "destination": f"{pair.remote}m/{name}"}
            for name in ("a", "plain")]  # fmt: skip
    listed = client.batch_items(rows, customer_key="k1")
    assert listed.wait(40).outcomes == {"transferred": 2}
    report = list(listed.report())
    assert client.verify(report).wait(40).agrees

    other = Pair(pair.installation, pair.local_b2)
    copied = pair.run(pair.remote, other.remote, customer_key="k1", exclude=["m/"])
    assert copied.outcomes == {"transferred": 4}
    modes = {
        version.file_name: version.server_side_encryption.mode
        for version, _ in other.bucket.ls(recursive=True)
    }
    customers = EncryptionMode.SSE_C
    assert modes == {
        "a": customers,
        "b": customers,
        "plain": EncryptionMode.NONE,
        "theirs": customers,
    }
    assert other.down(customer_key="k1").outcomes == {"transferred": 4}
    assert other.here()["theirs"] == b"theirs"

    for named in ({"customer_key": "k2"}, {"encryption": "SSE-C:k2"}):
        with pytest.raises(JobFailed) as refused:
            client.copy(f"{pair.remote}a", f"{pair.remote}c", **named).wait(40)
        assert refused.value.failure.code == "policy_refused"
        assert "'k2'" in refused.value.failure.message
    everything = kept(pair.installation)
    assert "policy_refused" in everything
    for key in KEYS.values():
        assert key not in everything
