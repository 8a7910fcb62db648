"""The config file, the roots and the other files that the settings name."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from b2jobs.config_file import CONFIG_VARIABLE
from b2jobs.errors import OperatorError
from b2jobs.locations import StoreObject, parse
from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.secrets import SecretsFile
from b2jobs_worker.settings import Root, Settings
from b2jobs_worker.sources.roots import FolderRoot, folder_roots
from b2jobs_worker.start.finding import Finding, finding

_NEEDED_BY = {"s3": "boto3", "gs": "boto3", "azure": "azure"}


def place_findings(settings: Settings) -> list[Finding]:
    """What is wrong with the places that the settings name."""
    found = list(_of_config())
    for name, root in settings.roots.items():
        found += _of_root(name, root, settings)
    if settings.ca_file is not None:
        found += _of_ca_file(settings.ca_file)
    try:
        Prices.model_validate(settings.prices)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        found.append(
            Finding(
                "config_invalid",
                f"The setting prices.{field} is refused: {first['msg']}.",
                f"Known are {', '.join(Prices.model_fields)}.",
                heals=False,
            )
        )
    return found


def _of_config() -> Iterator[Finding]:
    """Whoever writes the config file decides what jobs may read and write."""
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        return
    try:
        status = Path(path).stat()
    except OSError:  # gone since it was read
        return
    who = ""
    if status.st_mode & stat.S_IWGRP:
        who = "its group"
    elif status.st_uid not in (0, os.geteuid()):
        who = f"another user ({status.st_uid})"
    if who:
        yield Finding(
            "config_exposed",
            f"The config file {path} can be changed by {who}, who thereby decides what jobs may "
            "read and write.",
            "Run chmod go-w on it and let root or the worker's user own it.",
        )


def _of_root(name: str, root: Root, settings: Settings) -> Iterator[Finding]:
    try:
        folders = folder_roots(settings.model_copy(update={"roots": {name: root}}))
    except OperatorError as error:
        yield finding(error, heals=False)
        return
    if folders:
        yield from _of_folder(folders[0])
        return
    target = parse(root.url)
    assert isinstance(target, StoreObject)
    if find_spec(_NEEDED_BY[target.scheme]) is None:
        yield Finding(
            "store_extra_missing",
            f"The root {name!r} is {target.scheme}://, which this worker cannot reach.",
            "Install it with the extra: pip install 'b2jobs[worker,stores]'.",
            heals=False,
        )
    try:
        known = SecretsFile(settings.secrets_file).store(target.scheme, target.bucket) is not None
    except OperatorError:
        return  # said of the secrets file itself
    if not known:
        where = f"{target.scheme}://{target.bucket}"
        yield Finding(
            "store_credentials_missing",
            f"The root {name!r} is {where}, of which the secrets file says nothing.",
            f'Add it under "stores": {{"{where}": {{...}}}}.',
        )


def _of_folder(root: FolderRoot) -> Iterator[Finding]:
    what = f"The folder {root.folder} of the root {root.name!r}"
    needed = os.R_OK | os.X_OK | (os.W_OK if root.writable else 0)
    if not Path(root.folder).is_dir():
        yield Finding(
            "root_missing",
            f"{what} is not there.",
            "Create or mount it, or correct its url in the config file.",
        )
    elif not os.access(root.folder, needed):
        may_not = "read and written" if root.writable else "read"
        yield Finding(
            "root_unusable",
            f"{what} cannot be {may_not} by the worker's user.",
            "Correct its owner or mode"
            + (', or set access = "read" in the config file.' if root.writable else "."),
        )


def _of_ca_file(path: Path) -> Iterator[Finding]:
    try:
        ssl.create_default_context().load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one: not a certificate in it
        yield Finding(
            "config_invalid",
            f"The setting ca_file is refused: {path} holds no certificates "
            f"({error.strerror or error}).",
            "Correct B2JOBS_CA_FILE.",
            heals=False,
        )
