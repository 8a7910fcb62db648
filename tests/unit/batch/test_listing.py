"""Listing a folder: every file once, in order, from any name on."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from b2jobs_worker.batch.listing import below_folder

PART = st.text(alphabet="ab-.0é", min_size=1, max_size=3).filter(lambda t: t.strip("."))
PATHS = st.sets(st.lists(PART, min_size=1, max_size=3).map("/".join), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=PATHS, data=st.data())
def test_sorted_and_resumable(
    paths: set[str], data: st.DataObject, tmp_path_factory: object, tmp_path: Path
) -> None:
    folder = tmp_path / str(abs(hash(frozenset(paths))))
    folder.mkdir(exist_ok=True)
    for path in sorted(paths):
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"x")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    names = sorted(
        (str(found.relative_to(folder)) for found in folder.rglob("*") if found.is_file()),
        key=str.encode,
    )
    assert [listed.name for listed in below_folder(str(folder), "")] == names
    if names:
        after = data.draw(st.sampled_from(names))
        rest = [listed.name for listed in below_folder(str(folder), after)]
        assert rest == names[names.index(after) + 1 :]
