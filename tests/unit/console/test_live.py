"""Pages that are told of changes, and a console that stops meanwhile."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from b2jobs_console import live
from b2jobs_console.live import Live
from b2jobs_console.site import Site


# A console with an open page sat out the page's turn, and then two seconds of its own: 5 in all.
def test_closing_lets_go_of_a_page_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAST_SECONDS", "MOST_SECONDS"):
        monkeypatch.setattr(live, name, 3600.0)

    async def told() -> list[str]:
        pages = Live(cast("Site", None))
        heard: list[str] = []

        async def page() -> None:
            heard.extend([each async for each in pages.changes()])

        async with asyncio.TaskGroup() as group:
            group.create_task(page())
            while not pages.pages:
                await asyncio.sleep(0)
            pages.close()
        assert not pages.pages
        return heard

    assert asyncio.run(told()) == ["changed"]
