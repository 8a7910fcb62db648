"""Packing: every item in exactly one pack, within the limits, whatever the sizes are."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from b2jobs.items import Item, Planned, Refusal, unpacked
from b2jobs_worker.batch.plan.packing import (
    ALONE_BYTES,
    FEWEST_ITEMS,
    MOST_BYTES,
    MOST_INLINE,
    MOST_ITEMS,
    groups,
)

SIZES = st.one_of(
    st.none(),
    st.integers(0, 100_000),
    st.integers(ALONE_BYTES - 2, ALONE_BYTES + 2),
    st.integers(0, 10 * MOST_BYTES),
)


def plan(sizes: list[int | None]) -> list[tuple[str, Planned]]:
    return [
        (str(at + 1), Item("upload", f"data://r/{at}", f"b2://bucket/{at}", size))
        for at, size in enumerate(sizes)
    ]


@given(st.lists(SIZES, max_size=300), st.integers(0, 100_000))
def test_every_item_is_in_one_pack_and_cursors_cover_what_is_before(
    sizes: list[int | None], before: int
) -> None:
    stream = plan(sizes)
    found = list(groups(stream, before))

    given_items = [planned for _, planned in stream]
    seen: list[Planned] = []
    for group in found:
        packed = [planned for pack in group.packs for planned in pack]
        seen += packed
        # The cursor of a group is the one behind the last of all items so far.
        assert group.cursor == str(len(seen))
        assert sorted(map(id, seen)) == sorted(map(id, given_items[: len(seen)]))
    assert len(seen) == len(given_items)


@given(st.lists(SIZES, max_size=300), st.integers(0, 100_000))
def test_packs_keep_their_limits(sizes: list[int | None], before: int) -> None:
    for group in groups(plan(sizes), before):
        assert group.packs
        for pack in group.packs:
            assert 1 <= len(pack) <= MOST_ITEMS
            known = [item.size or 0 for item in pack if isinstance(item, Item)]
            if len(pack) > 1:
                assert sum(known) <= MOST_BYTES
                assert max(known) <= ALONE_BYTES


def test_the_first_packs_are_small_and_later_ones_large() -> None:
    counts = [len(group.packs[0]) for group in groups(plan([1] * 50_000))]
    assert counts[0] == FEWEST_ITEMS
    assert counts[-2] == MOST_ITEMS
    assert counts[:-1] == sorted(counts[:-1])


NAMES = st.text(min_size=1, max_size=30)
ITEMS = st.builds(
    Item,
    st.sampled_from(["upload", "download", "copy", "delete", "hide"]),
    NAMES,
    NAMES,
    st.none() | st.integers(0, 10**13),
    st.none() | st.just("0" * 40),
    st.integers(0, 10**10),
    st.dictionaries(NAMES, NAMES, max_size=2),
)
REFUSALS = st.builds(Refusal, NAMES, NAMES, NAMES, NAMES, st.integers(0, 10**10))


@given(st.one_of(ITEMS, REFUSALS))
@example(Item("upload", "data://r/empty", "b2://some-bucket/empty", 0))
def test_items_survive_the_way_through_redis(planned: Planned) -> None:
    assert unpacked(planned.packed()) == planned


def test_a_pack_carries_little_content() -> None:
    content = "data:;base64," + "A" * 349_000
    stream = [(str(n), Item("upload", content, f"b2://bucket/{n}")) for n in range(20)]
    packs = [pack for group in groups(stream, 100_000) for pack in group.packs]
    assert sum(map(len, packs)) == 20
    assert all(sum(len(item.source) for item in pack) <= MOST_INLINE for pack in packs)
