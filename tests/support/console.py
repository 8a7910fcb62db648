"""A console of an installation, as its own process, and a browser's way of asking it."""

from __future__ import annotations

import http.client
import re
import sys
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from support.installation import Installation
from support.processes import Process
from support.waiting import eventually

TOKEN, READ_TOKEN = "acting-token-0123456789", "reading-token-0123456789"
TOKENS = {"B2JOBS_CONSOLE_TOKEN": TOKEN, "B2JOBS_CONSOLE_READ_TOKEN": READ_TOKEN}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Browser:
    """Asks one console; keeps its cookie."""

    url: str
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, place: str, **headers: str) -> Answer:
        return self.ask("GET", place, None, headers)

    def post(self, place: str, form: dict[str, str], **headers: str) -> Answer:
        return self.ask("POST", place, form, headers)

    def ask(
        self, method: str, place: str, form: dict[str, str] | None, headers: dict[str, str]
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if self.cookie:
            sent["Cookie"] = self.cookie
        body = None
        if form is not None:
            body = urlencode(form)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, place, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        given = {name.lower(): value for name, value in response.getheaders()}
        if "set-cookie" in given:
            self.cookie = given["set-cookie"].partition(";")[0]
        return Answer(response.status, given, text)

    def log_in(self, token: str = TOKEN) -> Browser:
        assert self.post("/login", {"token": token}).headers["location"] == "/"
        return self

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.get("/schedules").text)
        assert found
        return found[1]


def start(installation: Installation, *options: str, **env: str) -> tuple[Process, str]:
    """Start a console on a free port; the process and its address."""
    process = installation.start(
        *(sys.executable, "-m", "b2jobs", "console", "--port", "0", *options),
        name=f"console{len(installation.workers)}",
        **env,
    )

    def announced() -> str | None:
        assert process.status is None, process.output()
        found = re.search(r"is at (http://\S+)/\n", process.output())
        return found[1] if found else None

    return process, eventually(announced, what=process.output)
