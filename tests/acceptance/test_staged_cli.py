"""`b2jobs upload ./file` and `-`: what this machine has, to workers that do not see it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from pathlib import Path

import pytest

from acceptance.conftest import COMMAND, Run
from support.installation import Installation
from support.waiting import eventually

CONTENT = hashlib.shake_256(b"cli").digest(1_500_000)
SHA1 = hashlib.sha1(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "a picture.png"
    made.write_bytes(CONTENT)
    return made


def test_a_file_of_this_machine(cli: Run, bucket: str, file: Path) -> None:
    done = cli("upload", str(file), f"b2://{bucket}/in/", "--wait", "--json")

    assert (done.status, done.err) == (0, "")
    assert (done.json["name"], done.json["sha1"]) == ("in/a picture.png", SHA1)
    for said in (cli("job", "show", done.json["job"]), cli("job", "list")):
        assert "a picture.png (handed over, 1.4 MiB)" in said.out
        assert "staged://" not in said.out


def test_standard_input_takes_its_name_from_the_destination(
    stack: Installation, bucket: str, file: Path
) -> None:
    def piped(destination: str) -> subprocess.CompletedProcess[str]:
        with file.open("rb") as given:
            return stack.run("upload", "-", destination, "--wait", stdin=given)

    done = piped(f"b2://{bucket}/dump")
    assert done.returncode == 0, done.stderr
    assert SHA1 in done.stdout
    nameless = piped(f"b2://{bucket}/folder/")
    assert nameless.returncode == 2
    assert "needs a file name" in nameless.stderr


def test_what_cannot_be_read_or_is_too_large_says_the_way_out(idle: Run, file: Path) -> None:
    for source, said in (
        ("./nothing.png", "there is no file"),
        ("data/.my/file.png", "data://ROOT/path"),
        ("nothing.png", "./FILE"),
        (str(file.parent), "is a folder"),
    ):
        refused = idle("upload", source, "b2://some-bucket/x")
        assert refused.status == 2
        assert said in refused.err
    large = idle("upload", str(file), "b2://some-bucket/x", B2JOBS_STAGED_BYTES="1000000")
    assert (large.status, large.out) == (2, "")
    assert all(
        word in large.err
        for word in (
            "1500000",
            "1000000",
            "data://ROOT/path",
            "s3://",
            "https://",
            "[staged_too_large]",
        )
    )


# A schedule's content and a download's stood in full in lists; each was up to 350,000 characters.
def test_no_list_has_content(cli: Run, bucket: str) -> None:
    source = "data:text/plain;base64,c2VjcmV0LWNvbnRlbnQ="
    there = f"b2://{bucket}/x"
    done = cli("schedule", "add", "s", "upload", f"source={source}", f"destination={there}",
               "--every", "1d", "--json")  # fmt: skip
    cli("schedule", "run", "s", "--wait")
    cli("schedule", "add", "d", "download", f"source={there}", "--every", "1d")
    got = cli("schedule", "run", "d", "--wait")

    assert got.out == "secret-content", "whoever asks for it has it"
    assert done.json["arguments"]["source"] == "data:text/plain (14 B)"
    lists = [cli("schedule", "list", *more) for more in ((), ("--json",))]
    lists += [cli("job", "list", *more) for more in ((), ("--json",))]
    for listed in lists:
        assert listed.status == 0
        assert "c2Vjcm" not in listed.out
        assert "secret-content" not in listed.out
    for name in ("s", "d"):
        cli("schedule", "remove", name)


def test_an_interrupted_upload_leaves_nothing(installation: Installation, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "upload", "-", "b2://some-bucket/x"],
        env=installation.env(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(CONTENT)
    process.stdin.flush()
    eventually(lambda: bool(installation.keys()))

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"Traceback" not in said
    assert installation.keys() == set()


def test_a_retry_says_whose_bytes_are_gone_and_goes_on_with_the_others(
    idle: Run, installation: Installation
) -> None:
    ids = [
        installation.client.upload(source, "b2://some-bucket/x").id
        for source in (b"handed over", "data://.my/file")
    ]
    assert idle("job", "cancel", *ids).status == 0

    again = idle("job", "retry", *ids)

    assert again.status == 2
    assert f"{ids[0]}: The bytes" in again.err
    assert "[staged_gone]" in again.err
    assert again.out == f"{ids[1]}  queued\n"
