"""Hide, unhide, move, retention and hold by real workers: signed, held to a policy, killed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import b2jobs
from b2jobs.errors import JobFailed
from support.emulator import LocalB2
from support.installation import Installation
from support.processes import kill_tree
from support.synced import Pair
from support.waiting import eventually

POLICY = """
[policy.producers.shop]
kinds = ["move", "hide", "unhide"]
read = ["b2://BUCKET/"]
write = ["b2://BUCKET/in/", "b2://BUCKET/out/"]
"""


def test_what_changes_files_is_signed_and_held_to_the_policy(
    make_installation: Callable[..., Installation], own_b2: LocalB2
) -> None:
    """And it survives kill -9 between a move's copy and its delete."""
    installation = make_installation(account=own_b2.account)
    unsigned = installation.client
    installation.require_signatures()
    pair = Pair(installation, own_b2)
    said = POLICY.replace("BUCKET", pair.name)
    installation.config.write_text(installation.config.read_text() + said)
    worker = installation.start_worker(B2JOBS_PROCESSES="1")
    shop = installation.client
    for name in ("in/a", "keep/a"):
        pair.put(name, name.encode())

    def code(job: b2jobs.Handle) -> str:
        with pytest.raises(JobFailed) as failed:
            job.wait(40)
        return failed.value.failure.code

    remote = pair.remote
    # Read, but not written: a move deletes its source.
    assert code(shop.move(f"{remote}keep/a", f"{remote}out/a")) == "policy_refused"
    assert code(shop.hide(f"{remote}keep/a")) == "policy_refused"
    assert code(shop.retention(f"{remote}in/a", "none")) == "policy_refused"
    kept = next(v for v, _ in pair.bucket.ls("keep/", recursive=True))
    assert code(shop.move(f"b2id://{kept.id_}", f"{remote}out/a")) == "policy_refused"
    forged = unsigned.hide(f"{remote}in/a")
    eventually(lambda: unsigned.job(forged.id).record().has_ended, timeout=40)
    assert unsigned.job(forged.id).state() == "failed"
    assert pair.there() == {"in/a": b"in/a", "keep/a": b"keep/a"}

    assert shop.hide(f"{remote}in/a").wait(40).status == "hidden"
    assert shop.unhide(f"{remote}in/a").wait(40).status == "shown"

    own_b2.faults.fault("latency", calls="b2_delete_file_version", seconds=60)
    moving = shop.move(f"{remote}in/a", f"{remote}out/a")
    eventually(lambda: "out/a" in pair.versions() and moving.progress().get("phase") == "removing",
               timeout=40)  # fmt: skip
    kill_tree(worker)
    own_b2.faults.reset()
    installation.start_worker("again", B2JOBS_PROCESSES="1")
    moved = moving.wait(60)
    assert (moved.kind, moved.attempts, moved.name) == ("move", 2, "out/a")
    assert pair.versions() == {"out/a": ["upload"], "keep/a": ["upload"]}
    assert pair.there()["out/a"] == b"in/a"


def test_the_command_line_says_what_it_changed(stack: Installation, local_b2: LocalB2) -> None:
    pair = Pair(stack, local_b2)
    locked = pair.api.create_bucket(f"{pair.name}-l", "allPrivate", is_file_lock_enabled=True)
    locked.upload_bytes(b"x", "a")
    target = f"b2://{locked.name}/a"

    def run(*words: str) -> dict[str, object]:
        done = stack.run(*words, "--wait", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    assert run("hold", target)["legal_hold"] is True
    assert run("hold", target, "--off")["legal_hold"] is False
    assert run("retention", target, "governance", "--for", "30d")["retention"] == "governance"
    moved = run("move", "--bypass-governance", target, f"b2://{locked.name}/b", "--no-legal-hold",
                "--retention", "governance", "--retain-until", "2044-12-01")  # fmt: skip
    assert moved["kind"] == "move"
    [version] = [version for version, _ in locked.ls(recursive=True)]
    assert version.file_name == "b"
    assert version.file_retention.retain_until == 2_364_163_200_000
    assert run("delete", f"b2://{locked.name}/b", "--bypass-governance")["deleted"] == 1
