"""Removals of local files: only what was compared, only in the root, never through a link."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from b2jobs.errors import JobError
from b2jobs.requests import Remove
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.settings import Root, Settings
from b2jobs_worker.sources.local import file_identity
from b2jobs_worker.sync.removing import remove


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "top/deep").mkdir(parents=True)
    (root / "top/deep/a").write_text("a")
    (root / "photos").mkdir()
    (root / "photos/a").write_text("mine")
    return root


def removed(
    folder: Path, path: str, *, top: str = "top/", access: str = "read-write", of: str = ""
) -> Any:
    root = Root.model_validate({"url": f"file://{folder}", "access": access})
    other = Root.model_validate({"url": f"file://{folder / 'photos'}", "access": "read-write"})
    request = Remove(
        target=f"data://r/{path}",
        identity=file_identity((folder / (of or path)).lstat()),
        top=top if "://" in top else f"data://r/{top}",
    )
    attempt: Any = DetachedAttempt("remove")
    return remove(request, attempt, Settings(roots={"r": root, "other": other}))


def refused(folder: Path, path: str, **more: str) -> str:
    before = {str(p): p.is_file() and p.read_text() for p in folder.rglob("*")}
    with pytest.raises(JobError) as caught:
        removed(folder, path, **more)
    assert before == {str(p): p.is_file() and p.read_text() for p in folder.rglob("*")}
    return caught.value.code


def test_a_file_goes_with_the_folders_it_leaves_empty(folder: Path) -> None:
    assert removed(folder, "top/deep/a").deleted == 1
    assert list((folder / "top").iterdir()) == []


def test_a_root_that_may_only_be_read_loses_nothing(folder: Path) -> None:
    """`b2jobs.remove` is a message like any other: whoever sends it named a read-only root."""
    assert refused(folder, "top/deep/a", access="read") == "root_read_only"


def test_a_folder_that_became_a_link_is_not_gone_through(folder: Path) -> None:
    (folder / "top/deep/a").unlink()
    (folder / "top/deep").rmdir()
    (folder / "top/deep").symlink_to("../photos")
    assert refused(folder, "top/deep/a") == "destination_is_link"
    assert (folder / "photos/a").read_text() == "mine"


def test_another_file_than_the_compared_one_stays(folder: Path) -> None:
    assert refused(folder, "top/deep/a", of="photos/a") == "destination_changed"


def test_a_file_that_became_a_link_stays(folder: Path) -> None:
    (folder / "top/deep/b").symlink_to("a")
    assert refused(folder, "top/deep/b", of="top/deep/a") == "destination_changed"


def test_the_folder_that_is_cleared_up_to_holds_the_file(folder: Path) -> None:
    for top in ("photos/", "data://other/"):
        assert refused(folder, "top/deep/a", top=top) == "invalid_request"
    assert refused(folder, "top/deep/../../photos/a") == "invalid_request"
    assert removed(folder, "top/deep/a", top="").deleted == 1


def test_a_root_inside_another_is_cleared_up_to_itself(folder: Path) -> None:
    outer = Root(url=f"file://{folder}", access="read-write")
    inner = Root(url=f"file://{folder / 'top'}", access="read-write")
    request = Remove(
        target=f"file://{folder}/top/deep/a",
        identity=file_identity((folder / "top/deep/a").lstat()),
        top=f"file://{folder}/",
    )
    attempt: Any = DetachedAttempt("remove")
    remove(request, attempt, Settings(roots={"outer": outer, "inner": inner}))
    assert list((folder / "top").iterdir()) == []


def test_the_other_name_of_a_hard_link_stays(folder: Path) -> None:
    os.link(folder / "photos/a", folder / "top/b")
    removed(folder, "top/b")
    assert (folder / "photos/a").read_text() == "mine"
