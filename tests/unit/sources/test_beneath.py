"""A walk below a root never leaves it, whatever paths and links are made of."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs.errors import JobError
from b2jobs.locations import LocalPath, RootPath
from b2jobs_worker.sources import open_sink, open_source
from unit.sources.places import as_nobody, open_folder, served


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """root/ with files and links of every sort, and secret beside it."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "file").write_text("inside")
    (root / "sub" / "file").write_text("below")
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("outside")
    links = {
        "near": "file",
        "into": "sub",
        "sub/up": "../file",
        "absolute": str(root / "file"),
        "out": "../secret",
        "far": str(tmp_path / "secret"),
        "away": "../elsewhere",
        "sub/away": str(tmp_path / "elsewhere"),
        "roundabout": f"../{root.name}/file",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "nowhere": "missing",
        "top": ".",
        "root": str(root),
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


def content(root: Path, path: str) -> str:
    source = open_source(RootPath(".my", path), served(root))
    try:
        with source.open() as stream:
            return stream.read(100).decode()
    finally:
        source.close()


def code(root: Path, path: str) -> str:
    with pytest.raises(JobError) as caught:
        content(root, path)
    return caught.value.code


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("file", "inside"),
        ("/file", "inside"),
        ("./sub//./file", "below"),
        ("sub/../file", "inside"),
        ("near", "inside"),
        ("into/file", "below"),
        ("into/up", "inside"),
        ("absolute", "inside"),
        ("top/sub/file", "below"),
        ("root/top/into/up", "inside"),
        ("into/../file", "inside"),
    ],
)
def test_what_stays_inside_is_read(tree: Path, path: str, expected: str) -> None:
    assert content(tree, path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "sub/../../secret",
        "../root/file",
        "..",
        "out",
        "far",
        "away/file",
        "sub/away/file",
        "into/away/file",
        "roundabout",
        "top/../secret",
    ],
)
def test_what_leaves_is_refused(tree: Path, path: str) -> None:
    assert code(tree, path) == "outside_root"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("none", "source_missing"),
        ("file/none", "source_missing"),
        ("near/none", "source_missing"),
        ("nowhere", "source_missing"),
        ("loop", "source_missing"),
        ("ping", "source_missing"),
        ("n" * 256, "source_missing"),
        ("sub", "source_is_directory"),
        ("sub/", "source_is_directory"),
        ("sub/..", "source_is_directory"),
        ("into", "source_is_directory"),
        ("", "source_is_directory"),
        (".", "source_is_directory"),
    ],
)
def test_each_wrong_path_has_its_code(tree: Path, path: str, expected: str) -> None:
    assert code(tree, path) == expected


def test_file_scheme_serves_only_roots(tree: Path) -> None:
    settings = served(tree)

    def outcome(path: str) -> str:
        try:
            open_source(LocalPath(path), settings).close()
        except JobError as error:
            return error.code
        return "served"

    assert outcome(f"{tree}/file") == "served"
    assert outcome(f"{tree}/sub/../file") == "served"
    assert outcome(f"{tree}/../secret") == "outside_root"
    assert outcome(f"{tree}-more/file") == "outside_root"
    assert outcome("/etc/passwd") == "outside_root"
    assert outcome(f"{tree}/out") == "outside_root"


def test_unknown_root_and_missing_folder(tmp_path: Path) -> None:
    for root, folder, expected, act in [
        ("other", tmp_path, "root_unknown", "caller"),
        (".my", tmp_path / "unmounted", "root_missing", "operator"),
    ]:
        with pytest.raises(JobError) as caught:
            open_source(RootPath(root, "file"), served(folder))
        assert (caught.value.code, caught.value.act) == (expected, act)
    with pytest.raises(JobError) as caught:
        open_sink(RootPath(".my", "file"), served(tmp_path / "unmounted"), "job").open(1)
    assert caught.value.code == "root_missing"
    assert not (tmp_path / "unmounted").exists()


def test_a_folder_that_is_exchanged_for_a_link_is_not_followed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment a check and a use lie apart is when `sub` becomes a link out of the root."""
    real = os.stat

    def stat_and_swap(*arguments: object, **named: object) -> os.stat_result:
        status = real(*arguments, **named)  # type: ignore[call-overload]
        if arguments[0] == "file" and not (tree / "gone").exists():
            (tree / "sub").rename(tree / "gone")
            (tree / "sub").symlink_to(tree.parent / "elsewhere")
        return status  # type: ignore[no-any-return]

    monkeypatch.setattr(os, "stat", stat_and_swap)
    assert content(tree, "sub/file") == "below"
    assert code(tree, "sub/file") == "outside_root"


def test_a_file_that_is_exchanged_for_a_link_is_not_followed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def stat_and_swap(*arguments: object, **named: object) -> os.stat_result:
        status = real(*arguments, **named)  # type: ignore[call-overload]
        if arguments[0] == "file":
            (tree / "file").unlink()
            (tree / "file").symlink_to(tree.parent / "secret")
        return status  # type: ignore[no-any-return]

    monkeypatch.setattr(os, "stat", stat_and_swap)
    assert code(tree, "file") == "source_missing"


def test_what_the_worker_must_not_read() -> None:
    with open_folder() as root:
        (root / "file").touch(0)
        (root / "sub").mkdir(0)
        told = _as_nobody_tries(root)
        (root / "sub").chmod(0o755)
    assert (
        told.splitlines()
        == ["source_unreadable operator"] * 2 + ["destination_unwritable operator"] * 3
    )


def _as_nobody_tries(root: Path) -> str:
    return as_nobody(
        root,
        "if os.getuid() != 65534: os.chmod('.', 0o555)\n"
        "attempt(lambda: open_source('data://.my/file', settings))\n"
        "attempt(lambda: open_source('data://.my/sub/file', settings))\n"
        "attempt(lambda: open_sink('data://.my/new', settings, 'job').open(5))\n"
        "attempt(lambda: open_sink('data://.my/sub/new', settings, 'job').open(5))\n"
        "attempt(lambda: open_sink('data://.my/made/new', settings, 'job').open(5))\n",
    )


SEGMENTS = st.sampled_from(["a", "b", "c", "..", ".", "", "out", "abs", "up", "self"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join)
LINKS = st.dictionaries(
    st.sampled_from(["a/out", "abs", "a/b/up", "self", "out", "c"]),
    st.lists(SEGMENTS | st.just("ROOT") | st.just("OUTSIDE"), min_size=1, max_size=4),
    max_size=4,
)


@given(path=PATHS, links=LINKS)
def test_no_path_and_no_links_lead_out(path: str, links: dict[str, list[str]]) -> None:
    """Whatever is served is what the path means, and that lies inside the root."""
    base = Path(os.path.realpath(tempfile.mkdtemp(prefix="b2jobs-")))
    try:
        root, outside = base / "root", base / "out"
        for folder in (root, outside):
            (folder / "a" / "b").mkdir(parents=True)
            for place in ("b", "a/c", "a/b/a"):
                target = folder / place
                if not target.exists():
                    target.write_text(str(target))
        for name, target in links.items():
            if not (root / name).exists():
                text = "/".join(target).replace("ROOT", str(root)).replace("OUTSIDE", str(outside))
                (root / name).symlink_to(text or "/")
        outcome, served_from = tried(root, path)
        assert outcome in {"served", "outside_root", "source_missing", "source_is_directory"}
        if outcome == "served":
            assert served_from.startswith(f"{root}/")
            assert os.path.realpath(f"{root}/{path}") == served_from
        elif outcome != "outside_root" and not path.endswith("/"):
            assert not (root / path.lstrip("/")).is_file()
    finally:
        shutil.rmtree(base)


def tried(root: Path, path: str) -> tuple[str, str]:
    try:
        return "served", content(root, path)
    except JobError as error:
        return error.code, ""
