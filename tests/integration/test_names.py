"""Names that one side refuses, by real workers: reported, or written another way and read back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from b2jobs.errors import JobFailed
from b2jobs_worker.sources.encoding import FOREIGN, QUOTE
from support.emulator import LocalB2
from support.installation import Installation
from support.synced import Pair
from unit.sources.test_encoding import LOCAL

WEIRD = [
    b"plain.txt",
    b"line\nfeed",
    b"line\xe2\x90\x8afeed",  # as if it had been encoded
    b"\xe2\x80\x9b\xe2\x90\x8a",
    b"latin1-\xe4\xf6",
    b"del\x7f/tab\there",
    b"x" * 255,
    b"y" * 251 + b"/z" + b"\x01" * 200,
    b"\xe2\x80\x9b=/...",
]


@pytest.fixture
def pair(stack: Installation, local_b2: LocalB2) -> Pair:
    return Pair(stack, local_b2)


def write(folder: Path, names: list[bytes]) -> None:
    for number, name in enumerate(names):
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
        os.utime(path, (1_700_000_000, 1_700_000_000))


def there(folder: Path) -> dict[str, bytes]:
    found = folder.rglob("*")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def test_a_sync_up_and_down_and_up_again_keeps_every_name(pair: Pair) -> None:
    up, back = pair.folder / "up", pair.folder / "back"
    up.mkdir()
    write(up, WEIRD)
    source, remote = f"{pair.local}up/", f"{pair.remote}in/"
    with pytest.raises(JobFailed):
        pair.run(source, f"{pair.remote}reported/")

    dry = pair.run(source, remote, names="encode", dry_run=True)
    assert dry.compared["problems"] == 0
    assert pair.run(source, remote, names="encode").outcomes == {"transferred": len(WEIRD)}
    assert "in/line␊feed" in pair.there()
    assert pair.run(source, remote, names="encode", delete="remove").items == 0

    down = f"{pair.local}back/"
    assert pair.run(remote, down, names="encode").outcomes == {"transferred": len(WEIRD)}
    assert there(back) == there(up)
    assert pair.run(remote, down, names="encode", delete="remove").items == 0
    assert pair.run(down, remote, names="encode", compare="sha1").items == 0

    (up / os.fsdecode(WEIRD[1])).unlink()
    gone = pair.run(source, remote, names="encode", delete="remove")
    assert gone.outcomes == {"deleted": 1}
    assert pair.run(remote, down, names="encode", delete="remove").outcomes == {"deleted": 1}
    assert there(back) == there(up)


def test_names_of_b2_that_are_no_paths_come_down_and_go_up_as_they_are(pair: Pair) -> None:
    names = ["../out", "a/./b", "a/../b", "a/b", f"{FOREIGN}..", "␊", f"{QUOTE}FF", f"c{QUOTE}"]
    for name in names:
        pair.put(f"in/{name}", name.encode())
    with pytest.raises(JobFailed) as reported:
        pair.run(f"{pair.remote}in/", f"{pair.local}reported/")
    assert reported.value.code == "items_failed"

    client, down = pair.installation.client, f"{pair.local}down/"
    batch = client.batch(f"{pair.remote}in/", down, names="encode")
    assert batch.wait(40).outcomes == {"transferred": len(names)}
    assert len(there(pair.folder / "down")) == len(names)
    assert not (pair.folder / "out").exists()
    assert not (pair.folder.parent / "out").exists()
    again = client.batch(down, f"{pair.remote}again/", names="encode").wait(40)
    assert again.outcomes == {"transferred": len(names)}
    found = pair.there()
    assert {name: found[f"again/{name}"] for name in names} == {n: n.encode() for n in names}
    assert pair.run(down, f"{pair.remote}in/", names="encode", compare="size").items == 0


@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(some.lists(LOCAL, min_size=5, max_size=25))
def test_whatever_names_there_are_a_batch_brings_them_back(pair: Pair, paths: list[str]) -> None:
    tag = os.urandom(4).hex()
    up, back = pair.folder / f"up{tag}", pair.folder / f"back{tag}"
    for number, path in enumerate(paths):
        file = up / path
        if len(os.fsencode(path)) > 250:
            continue
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"%d" % number)
        except OSError:
            continue  # another of them is a folder, or a file, of that name
    client, remote = pair.installation.client, f"{pair.remote}{tag}/"
    client.batch(f"{pair.local}{up.name}/", remote, names="encode").wait(60)
    client.batch(remote, f"{pair.local}{back.name}/", names="encode").wait(60)
    assert there(back) == there(up)
