"""Which `B2JOBS_...` variables there are, so that a mistyped one is not ignored.

The settings of a worker are the fields of `Settings`. This is the one list of all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

PREFIX = "B2JOBS_"

ELSEWHERE = {
    "B2JOBS_CONFIG": "the config file",
    "B2JOBS_CONSOLE_TOKEN": "the console: who has it may look and act",
    "B2JOBS_CONSOLE_READ_TOKEN": "the console: who has it may look",
    "B2JOBS_CONSOLE_TOKEN_FILE": "the console",
    "B2JOBS_CONSOLE_READ_TOKEN_FILE": "the console",
    "B2JOBS_CONSOLE_HOSTS": "the console: names under which it is reached",
    "B2JOBS_CONSOLE_HTTPS": "the console",
    "B2JOBS_CONSOLE_METRICS_LOGIN": "the console",
    "B2JOBS_UID": "docker-compose.yml: whom containers run as",
    "B2JOBS_GID": "docker-compose.yml",
    "B2JOBS_REDIS_PORT": "docker-compose.yml: where Redis is reached on the host",
    "B2JOBS_REDIS_PASSWORD_FILE": "docker-compose.yml, and the image's entry point",
    "B2JOBS_REDIS_IMAGE": "docker-compose.yml",
    "B2JOBS_REDIS_MEMORY": "docker-compose.yml",
    "B2JOBS_REDIS_MAXMEMORY": "docker-compose.yml",
    "B2JOBS_PYTHON_IMAGE": "docker-compose.yml",
    "B2JOBS_MEMORY": "docker-compose.yml: most of a container",
    "B2JOBS_BATCH_ITEMS": "tests: how many items a batch has",
    "B2JOBS_WORDS_JOBS": "tests: how many jobs tell of their end",
    "B2JOBS_COMPLETE": "completion of shells, as _B2JOBS_COMPLETE",
}
"""Variables that no worker reads, and who does. `B2JOBS_TEST_...` belong to tests."""

# Kubernetes, and Docker's links, tell every container of each service beside it: one that is
# named b2jobs-console gives B2JOBS_CONSOLE_SERVICE_HOST, B2JOBS_CONSOLE_PORT_80_TCP_ADDR, ...
_OF_THE_PLATFORM = re.compile(
    r"B2JOBS_(?:.+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?"
    r"|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?|ENV_\w+)\Z"
)


def unknown(environment: Mapping[str, str], settings: Iterable[str]) -> list[str]:
    """What is wrong with the variables, a clause each; *settings* are the fields' names."""
    known = {PREFIX + name.upper() for name in settings}
    found = []
    for given in sorted(environment):
        name = given.upper()
        if not name.startswith(PREFIX) or name.startswith("B2JOBS_TEST_"):
            continue
        field = name.partition("__")[0]  # of a table: B2JOBS_PRICES__CLASS_A_PER_THOUSAND
        if field in known or name in ELSEWHERE:
            continue
        if _OF_THE_PLATFORM.match(name):
            continue
        found.append(given + meant(field, known | set(ELSEWHERE)))
    return found


def meant(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` behind a name nobody knows, or nothing where none is near."""
    bare = {each.removeprefix(PREFIX): each for each in sorted(known)}
    near = get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.65)
    return f" (did you mean {bare[near[0]]}?)" if near else ""
