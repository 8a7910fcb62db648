"""Downloads land beside their target and replace it as a whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from b2jobs.errors import JobError
from b2jobs.locations import LocalPath, RootPath
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import open_sink
from b2jobs_worker.sources.failures import destination_error
from b2jobs_worker.sources.parts import part_name, part_token
from b2jobs_worker.sources.sink import RESUMABLE_BYTES, LocalSink
from unit.sources.places import as_nobody, open_folder, served

LARGE = RESUMABLE_BYTES + 123


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in which everybody may write."""
    with open_folder() as folder:
        folder.chmod(0o777)
        yield folder


def sink(folder: Path, path: str = "new", job: str = "job-1", **more: bool) -> LocalSink:
    made = open_sink(RootPath(".my", path), served(folder), job, **more)
    assert isinstance(made, LocalSink)
    return made


def put(target: LocalSink, content: bytes, modified_millis: int | None = None) -> None:
    os.pwrite(target.open(len(content)), content, 0)
    target.commit(modified_millis)


def code(folder: Path, path: str, size: int = 1) -> str:
    with pytest.raises(JobError) as caught:
        sink(folder, path).open(size)
    return caught.value.code


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("size", [0, 1, 70_000, LARGE])
def test_commit_puts_bytes_and_time(tmp_path: Path, size: int, durable: bool) -> None:
    content = os.urandom(size)
    put(sink(tmp_path, "a/b/new", durable=durable), content, 1_600_000_000_123)
    assert (tmp_path / "a/b/new").read_bytes() == content
    assert (tmp_path / "a/b/new").stat().st_mtime_ns == 1_600_000_000_123_000_000
    assert names(tmp_path) == ["a", "a/b", "a/b/new"]


def test_commit_replaces_and_is_not_seen_before(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("old")
    target = sink(tmp_path)
    os.pwrite(target.open(4), b"next", 0)
    assert (tmp_path / "new").read_text() == "old"
    assert target.exists()
    assert Path(target.part_path).parent == tmp_path
    assert Path(target.part_path).exists()
    target.commit(None)
    assert (tmp_path / "new").read_text() == "next"
    assert names(tmp_path) == ["new"]


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
@pytest.mark.parametrize("mode", ["0640", "0600", "0664"])
def test_new_files_get_the_mode_of_the_setting(tmp_path: Path, mode: str, umask: int) -> None:
    """They had 0644: what came from a private bucket was open to every user of the machine."""
    (tmp_path / "new").touch(mode=0o666)
    before = os.umask(umask)
    try:
        for path in ("new", "made/new"):
            location = RootPath(".my", path)
            target = open_sink(location, served(tmp_path, download_mode=mode), "job")
            os.pwrite(target.open(1), b"x", 0)
            assert Path(target.part_path).stat().st_mode & 0o177 == 0, "nobody reads it early"
            target.commit(None)
            assert (tmp_path / path).stat().st_mode & 0o777 == int(mode, 8)
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 & ~int(mode, 8) & 0o666 == 0


@pytest.mark.parametrize("mode", ["640", "0400", "0o640", "rw-r-----", "01777", "0649", ""])
def test_a_mode_that_is_none_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ValidationError, match="download_mode"):
        served(tmp_path, download_mode=mode)


@pytest.mark.parametrize("path", ["album/new", "album/deep/new", "up/album/new"])
def test_nothing_is_written_or_removed_through_a_link_of_the_destination(
    tmp_path: Path, path: str
) -> None:
    """`album -> ../photos` in a sync's destination: its files were written to, and removed."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/new").write_text("mine")
    (tmp_path / "album").symlink_to("photos")
    (tmp_path / "up").symlink_to(".")
    assert code(tmp_path, path) == "destination_is_link"
    for ask in (sink(tmp_path, path).exists, sink(tmp_path, path).identity):
        with pytest.raises(JobError, match="link"):
            ask()
    assert (tmp_path / "photos/new").read_text() == "mine"
    assert names(tmp_path) == ["album", "photos", "photos/new", "up"]


def test_a_folder_that_becomes_a_link_during_a_download_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/new").write_text("mine")
    target = sink(tmp_path, "album/new")
    os.pwrite(target.open(3), b"new", 0)
    (tmp_path / "album").rename(tmp_path / "moved")
    (tmp_path / "album").symlink_to("photos")
    target.commit(None)
    assert (tmp_path / "photos/new").read_text() == "mine"
    assert (tmp_path / "moved/new").read_text() == "new", "the folder that was opened has it"


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to("disk")
    put(sink(tmp_path / "root", "a/new"), b"x")
    assert (tmp_path / "disk/a/new").read_bytes() == b"x"


def replacing(folder: Path, identity: str | None) -> LocalSink:
    made = open_sink(RootPath(".my", "new"), served(folder), "job-1", replaces=identity)
    assert isinstance(made, LocalSink)
    return made


CHANGES = {
    "edited": lambda path: path.write_text("edited by somebody"),
    "replaced": lambda path: (
        (path.with_name("other").write_text("old"), path.unlink())
        and path.with_name("other").rename(path)
    ),
    "removed": lambda path: path.unlink(),
    "a link by now": lambda path: (path.unlink(), path.symlink_to("nothing")),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("late", [False, True])
def test_only_what_was_compared_is_replaced(tmp_path: Path, change: str, late: bool) -> None:
    path = tmp_path / "new"
    path.write_text("old")
    target = replacing(tmp_path, sink(tmp_path).identity())
    if late:
        os.pwrite(target.open(4), b"next", 0)
    CHANGES[change](path)
    now = path.readlink() if path.is_symlink() else path.exists() and path.read_text()
    with pytest.raises(JobError) as caught:
        target.commit(None) if late else target.open(4)
    target.discard()
    assert caught.value.code == "destination_changed"
    assert now == (path.readlink() if path.is_symlink() else path.exists() and path.read_text())
    assert names(tmp_path) == ([] if change == "removed" else ["new"])


def test_what_came_since_the_comparison_is_not_replaced(tmp_path: Path) -> None:
    target = replacing(tmp_path, "")
    os.pwrite(target.open(4), b"next", 0)
    (tmp_path / "new").write_text("mine")
    with pytest.raises(JobError, match="changed since"):
        target.commit(None)
    target.discard()
    assert (tmp_path / "new").read_text() == "mine"
    assert names(tmp_path) == ["new"]


def test_an_empty_folder_gives_way_to_a_synced_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert code(tmp_path, "new") == "destination_is_directory"
    put(replacing(tmp_path, ""), b"x")
    assert (tmp_path / "new").read_bytes() == b"x"
    (tmp_path / "new").unlink()
    (tmp_path / "new/inside").mkdir(parents=True)
    with pytest.raises(JobError, match="is a folder"):
        replacing(tmp_path, "").open(1)
    assert names(tmp_path) == ["new", "new/inside"]


def test_a_link_is_replaced_and_what_it_points_to_is_left(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("outside")
    (root / "new").symlink_to("../secret")
    target = sink(root)
    assert target.exists()
    assert target.sha1() is None
    put(target, b"inside")
    assert (root / "new").read_text() == "inside"
    assert not (root / "new").is_symlink()
    assert (tmp_path / "secret").read_text() == "outside"


def test_what_is_there_is_told(tmp_path: Path) -> None:
    assert (sink(tmp_path).exists(), sink(tmp_path).sha1()) == (False, None)
    assert not sink(tmp_path, "a/b").exists()
    (tmp_path / "new").write_bytes(b"content")
    assert sink(tmp_path).exists()
    assert sink(tmp_path).sha1() == hashlib.sha1(b"content").hexdigest()
    assert not sink(tmp_path, "new/below").exists()
    assert sink(tmp_path, "new/below").sha1() is None


def test_each_wrong_destination_has_its_code(tmp_path: Path) -> None:
    (tmp_path / "root/folder").mkdir(parents=True)
    root = tmp_path / "root"
    (root / "file").write_text("x")
    (root / "away").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    expected = {
        "folder": "destination_is_directory",
        "folder/": "destination_is_directory",
        "": "destination_is_directory",
        "folder/.": "destination_is_directory",
        "folder/..": "destination_is_directory",
        "file/below": "destination_missing",
        "pipe": "destination_not_a_file",
        "n" * 256: "destination_name_refused",
        "../new": "outside_root",
        "folder/../../new": "outside_root",
        "away/new": "outside_root",
    }
    assert {path: refused(root, path) for path in expected} == expected
    assert names(tmp_path) == sorted(["root", "root/away", "root/file", "root/folder", "root/pipe"])


def refused(root: Path, path: str) -> str:
    try:
        sink(root, path).open(1)
    except JobError as error:
        return error.code
    return "made"


def test_only_a_writable_root_is_written(tmp_path: Path) -> None:
    for location in (RootPath(".my", "new"), LocalPath(f"{tmp_path}/new")):
        with pytest.raises(JobError) as caught:
            open_sink(location, served(tmp_path, "read"), "job")
        assert (caught.value.code, caught.value.act) == ("root_read_only", "caller")


def test_what_is_no_folder_root_takes_no_downloads(tmp_path: Path) -> None:
    settings = Settings(roots={"store": {"url": "s3://bucket", "access": "read-write"}})  # type: ignore[dict-item]
    for location in ("data://store/new", "https://host/new", "data:,x"):
        with pytest.raises(JobError) as caught:
            open_sink(location, settings, "job")
        assert caught.value.code == "destination_unsupported"


def test_a_part_file_is_gone_on_with(tmp_path: Path) -> None:
    content = os.urandom(LARGE)
    first = sink(tmp_path)
    os.pwrite(first.open(LARGE), content[:1000], 0)
    identity = first.part_identity
    first.close()

    again = sink(tmp_path)
    descriptor = again.open(LARGE)
    assert again.part_identity == identity != ""
    assert os.pread(descriptor, 1000, 0) == content[:1000]
    os.pwrite(descriptor, content[1000:], 1000)
    again.commit(None)
    assert (tmp_path / "new").read_bytes() == content


def test_another_part_file_is_told_from_it(tmp_path: Path) -> None:
    """A part file of another size, cut short, or made on another machine's disk is no base."""

    def opened(size: int) -> str:
        target = sink(tmp_path)
        descriptor = target.open(size)
        assert os.pread(descriptor, 10, 0) == bytes(10)[:size]
        os.pwrite(descriptor, b"something", 0)
        target.close()
        return target.part_identity

    seen = [opened(LARGE), opened(LARGE + 1), opened(LARGE), opened(10), opened(10)]
    os.truncate(sink(tmp_path).part_path, LARGE)  # killed before its mark was written
    seen.append(opened(LARGE))
    sink(tmp_path).discard()
    seen.append(opened(LARGE))
    assert len(set(seen)) == len(seen)


def test_discard_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("old")
    target = sink(tmp_path)
    target.discard()
    target.open(5)
    target.discard()
    target.discard()
    other = sink(tmp_path)
    other.open(5)
    other.close()
    sink(tmp_path).discard()
    sink(tmp_path, "no/such/folder").discard()
    assert names(tmp_path) == ["new"]
    assert (tmp_path / "new").read_text() == "old"


def test_a_part_file_that_vanished_is_not_committed(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("old")
    target = sink(tmp_path)
    target.open(5)
    sink(tmp_path).discard()
    with pytest.raises(JobError) as caught:
        target.commit(None)
    assert (caught.value.code, caught.value.act) == ("part_file_lost", "nobody")
    Path(target.part_path).write_text("not ours")
    with pytest.raises(JobError):
        target.commit(None)
    assert (tmp_path / "new").read_text() == "old"


def test_a_trap_under_the_part_files_name_is_not_written_to(tmp_path: Path) -> None:
    """In a shared folder somebody may have put a link there to what only the worker can write."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    root = tmp_path / "root"
    root.mkdir()
    part = root / part_name("new", "job-1")
    for trap in (
        lambda: part.symlink_to(victim),
        lambda: part.hardlink_to(victim),
        lambda: os.mkfifo(part),
    ):
        trap()
        put(sink(root), b"content")
        assert victim.read_text() == "precious"
        assert (root / "new").read_bytes() == b"content"
        assert names(root) == ["new"]


def test_two_jobs_do_not_share_a_part_file(tmp_path: Path) -> None:
    one, two = sink(tmp_path, job="one"), sink(tmp_path, job="two")
    os.pwrite(one.open(3), b"one", 0)
    os.pwrite(two.open(3), b"two", 0)
    one.commit(None)
    assert (tmp_path / "new").read_text() == "one"
    two.commit(None)
    assert (tmp_path / "new").read_text() == "two"


def test_no_room_is_told_before_a_byte_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        sink(tmp_path).open(10**18)
    error = caught.value
    assert (error.code, error.act) == ("disk_full", "operator")
    assert error.wait is not None
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "destination_unwritable"),
        (errno.EACCES, "destination_unwritable"),
        (errno.EFBIG, "destination_unwritable"),
        (errno.EMFILE, "too_many_open_files"),
        (errno.EIO, "destination_write_failed"),
        (errno.ESTALE, "destination_write_failed"),
        (errno.EISDIR, "destination_is_directory"),
        (errno.ENOTDIR, "destination_missing"),
        (errno.ENAMETOOLONG, "destination_name_refused"),
    ],
)
def test_every_word_of_the_system_has_a_code(number: int, expected: str) -> None:
    assert destination_error(OSError(number, os.strerror(number)), "x").code == expected


def test_a_limit_on_file_size_is_the_operators(shared: Path) -> None:
    told = as_nobody(
        shared,
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "attempt(lambda: open_sink('data://.my/new', settings, 'job').open(5000))\n",
    )
    assert told == "destination_unwritable operator"


def test_another_users_part_file_is_replaced(shared: Path) -> None:
    root = shared
    part = root / part_name("new", "job")
    part.write_text("not yours")
    part.chmod(0o666)
    as_nobody(
        root,
        "target = open_sink('data://.my/new', settings, 'job')\n"
        "os.pwrite(target.open(4), b'mine', 0)\n"
        "target.commit(None)\n",
    )
    assert (root / "new").read_text() == "mine"
    assert (root / "new").stat().st_uid == (os.getuid() or 65534)
    assert names(root) == ["new"]


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=300
)


@given(name=NAMES, job=st.text())
@settings(deadline=None)
def test_part_names_fit_and_hold_no_path(name: str, job: str) -> None:
    part = part_name(name, job)
    assert len(os.fsencode(part)) <= 255
    assert "/" not in part
    assert part.endswith(f".{part_token(job)}.b2jobs-part")
    assert "." not in part_token(job)


@given(stem=NAMES)
@settings(deadline=None)
def test_long_names_that_differ_at_the_end_have_different_part_files(stem: str) -> None:
    long = stem * 300
    assert part_name(long + "a", "job") != part_name(long + "b", "job")
