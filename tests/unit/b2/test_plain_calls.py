"""The two calls that move a small file go without b2sdk: they send and answer what it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from b2sdk.v3.exception import B2Error

from b2jobs_worker.b2.session import OneAuthorisation
from b2jobs_worker.b2.uploads import file_headers

pytestmark = pytest.mark.filterwarnings("ignore:bad request exception")

URL = "https://pod.example/b2api/v3/b2_upload_file/bucket/1"
FILE = "https://f.example/file/bucket/name"
NAME = "a folder/ä+%20~'\U0001f600 name_-."
INFO = {"src_last_modified_millis": "1700000000000", "b2-cache-control": "max-age=3, ö", "x": ""}


class Answer:
    """As much of a response as is looked at."""

    def __init__(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.status_code, self.content, self.headers = status, content, headers
        self.url = URL

    def close(self) -> None: ...


class Sent:
    """Stands where the HTTP session does: keeps what it is asked, and answers as it is told."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def request(self, method: str, url: str, **rest: Any) -> Answer:
        kept = {name: rest.get(name) for name in ("headers", "data")}
        self.asked.append((method, url, kept, bool(rest.get("stream"))))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def session(answer: Answer | Exception) -> tuple[OneAuthorisation, Sent]:
    http = Sent(answer)
    made = OneAuthorisation(http)  # type: ignore[arg-type]  # all that these calls use of it
    made.info.set_auth_data(
        *("account", "the-token", "https://api.example", "https://f.example", 100, 10),
        *("key", "https://realm.example", "https://s3.example"),
        {"capabilities": ["writeFiles"], "namePrefix": None, "buckets": None},
        "key-id",
    )
    made.info.put_bucket_upload_url("bucket", URL, "upload-token")
    made.authorize_automatically = lambda: False  # type: ignore[method-assign]  # nobody to ask
    return made, http


def told(code: str, status: int = 400, **headers: str) -> Answer:
    said = {"status": status, "code": code, "message": f"about {code}"}
    return Answer(status, json.dumps(said).encode(), headers)


ANSWERS: list[Answer | Exception] = [
    Answer(200, b'{"fileId": "4_z", "fileName": "n"}', {}),
    Answer(206, b"{}", {}),
    Answer(200, b"<html>", {}),
    Answer(200, b"\xff", {}),
    Answer(503, b"<html>", {}),
    Answer(500, b"", {}),
    Answer(302, b"", {"location": "https://elsewhere.example"}),
    Answer(400, b"[]", {}),
    told("bad_request"),
    told("file_not_present"),
    told("out_of_range", 416),
    told("expired_auth_token", 401),
    told("bad_auth_token", 401),
    told("unauthorized", 401),
    told("access_denied", 403),
    told("storage_cap_exceeded", 403),
    told("not_found", 404),
    told("method_not_allowed", 405),
    told("request_timeout", 408),
    told("conflict", 409),
    told("too_many_requests", 429, **{"Retry-After": "7"}),
    told("internal_error", 500),
    told("service_unavailable", 503, **{"Retry-After": "7"}),
    requests.ConnectionError("gone"),
    requests.ReadTimeout("late"),
]
IDS = [
    f"{at}-{getattr(answer, 'status_code', type(answer).__name__)}"  # the same in each process
    for at, answer in enumerate(ANSWERS)
]


def outcome(act: Callable[[], Any]) -> Any:
    try:
        found = act()
    except B2Error as error:
        waits = getattr(error, "retry_after_seconds", None)
        return type(error), str(error), waits
    return found if isinstance(found, dict) else getattr(found, "status_code", found)


@pytest.mark.parametrize("answer", ANSWERS, ids=IDS)
def test_an_upload_sends_and_answers_what_b2sdk_does(answer: Answer | Exception) -> None:
    plain, plainly = session(answer)
    whole, wholly = session(answer)
    body, sha1 = b"content", "0" * 40
    headers = file_headers(NAME, len(body), "b2/x-auto", sha1, INFO)
    ours = outcome(lambda: plain.upload_plain("bucket", headers, body))
    theirs = outcome(
        lambda: whole.upload_file("bucket", NAME, len(body), "b2/x-auto", sha1, INFO, body)
    )
    assert plainly.asked == wholly.asked
    assert len(plainly.asked) == 1
    assert ours == theirs
    left = [each.info.take_bucket_upload_url("bucket") for each in (plain, whole)]
    assert left[0] == left[1], "an upload URL that failed is not used again"


@pytest.mark.parametrize("answer", ANSWERS, ids=IDS)
@pytest.mark.parametrize("range_", [None, (5, 9)])
def test_a_download_sends_and_answers_what_b2sdk_does(
    answer: Answer | Exception, range_: tuple[int, int] | None
) -> None:
    plain, plainly = session(answer)
    whole, wholly = session(answer)

    def wholly_fetched() -> Any:
        with whole.download_file_from_url(FILE, range_=range_) as response:
            return response

    headers = {} if range_ is None else {"Range": f"bytes={range_[0]}-{range_[1]}"}
    ours = outcome(lambda: plain.download_plain(FILE, headers))
    theirs = outcome(wholly_fetched)
    assert plainly.asked == wholly.asked
    assert ours == theirs
