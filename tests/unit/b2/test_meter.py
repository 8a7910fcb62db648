"""Calls by class and what they cost."""

from __future__ import annotations

import threading

import pytest

from b2jobs_worker.b2.meter import Meter, class_of
from b2jobs_worker.b2.prices import Prices


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/b2api/v4/b2_upload_file/4a/c001", "a"),
        ("POST", "/b2api/v4/b2_upload_part/4_z/0001", "a"),
        ("POST", "/b2api/v4/b2_get_upload_url", "a"),
        ("POST", "/b2api/v4/b2_delete_file_version", "a"),
        ("POST", "/b2api/v4/b2_get_file_info", "b"),
        ("GET", "/b2api/v4/b2_download_file_by_id?fileId=4_z", "b"),
        ("GET", "/file/bucket/b2api/name", "b"),
        ("HEAD", "/file/bucket/name", "b"),
        ("POST", "/b2api/v4/b2_list_file_names", "c"),
        ("POST", "/b2api/v4/b2_authorize_account", "c"),
        ("POST", "/b2api/v4/b2_copy_file", "c"),
        ("POST", "/b2api/v9/b2_something_new", "c"),
    ],
)
def test_the_class_of_a_call(method: str, path: str, expected: str) -> None:
    assert class_of(method, path) == expected


def test_a_thousand_listings_cost_what_the_table_says() -> None:
    meter = Meter()
    for _ in range(1000):
        meter.called("c")
    assert meter.dollars == 0.004
    assert Meter(Prices(class_a_per_thousand=1.0)).dollars == 0


def test_an_own_table_replaces_ours() -> None:
    meter = Meter(Prices(as_of="2030-01-01", class_b_per_thousand=2.0))
    meter.called("b")
    assert meter.dollars == 0.002


def test_many_threads_lose_no_count() -> None:
    meter = Meter()

    def count() -> None:
        for _ in range(2000):
            meter.called("a", 3)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.calls["a"] == 16_000
    assert meter.bytes_sent == 48_000
