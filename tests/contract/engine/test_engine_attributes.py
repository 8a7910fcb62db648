"""What a file carries: set by uploads, kept by copies but for what they name."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

from b2jobs_worker.transfer import copy_large
from contract.engine.corner import Bench

copying = importlib.import_module("b2jobs_worker.transfer.copy")

HEADERS = {
    "cache_control": "public, max-age=60",
    "content_disposition": 'attachment; filename="x.txt"',
    "content_encoding": "gzip",
    "content_language": "de",
    "content_expires": "Thu, 01 Dec 2044 16:00:00 GMT",
}
IN_INFO = {
    "b2-cache-control": "public, max-age=60",
    "b2-content-disposition": 'attachment; filename="x.txt"',
    "b2-content-encoding": "gzip",
    "b2-content-language": "de",
    "b2-expires": "Thu, 01 Dec 2044 16:00:00 GMT",
}


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies by parts from 150 KB on."""
    monkeypatch.setattr(copying, "ONE_CALL_BYTES", 150_000)
    monkeypatch.setattr(copy_large, "PART_BYTES", 100_000)


@pytest.mark.usefixtures("cut_small")
@pytest.mark.parametrize("size", [5, 500_000])
def test_headers_go_up_and_along(bench: Bench, size: int) -> None:
    content = os.urandom(size)
    source = bench.put("x", content)
    bench.run("upload", source=source, destination=bench.b2("a"), info={"color": "red"}, **HEADERS)
    [first] = bench.versions("a")
    assert first.info.items() >= {**IN_INFO, "color": "red"}.items()

    def copied(name: str, **named: Any) -> Any:
        ends = {"source": bench.b2("a"), "destination": bench.b2(name)}
        bench.run("copy", bench.attempt(name), **ends, **named)
        [version] = bench.versions(name)
        assert version.size == size
        return version

    kept = ("color", "src_last_modified_millis", *IN_INFO)
    same = copied("same")
    assert {key: same.info[key] for key in kept} == {key: first.info[key] for key in kept}
    one = copied("one", cache_control="no-store", content_language="")
    assert one.info["b2-cache-control"] == "no-store"
    assert "b2-content-language" not in one.info
    assert {"color", "b2-expires", "b2-content-encoding"} < one.info.keys()
    assert one.content_type == first.content_type
    info = copied("info", info={"shape": "round"})
    assert info.info.items() >= {**IN_INFO, "shape": "round"}.items()
    assert "color" not in info.info
    assert info.modified_millis == first.modified_millis
    kind = copied("kind", content_type="text/x-own")
    assert kind.content_type == "text/x-own"
    assert kind.info["color"] == "red"
