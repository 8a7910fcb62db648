"""The command line: `python -m b2emulator` and `b2jobs emulator`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import socket
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from b2emulator.emulator import Emulator
from b2emulator.errors import B2Error
from b2emulator.faults.rules import Rule
from b2emulator.settings import Settings
from b2emulator.wire.certificate import Certificate, make_certificate
from b2emulator.wire.control import ADMIN_PATH
from b2emulator.wire.server import listen, run_until

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def parser() -> argparse.ArgumentParser:
    """The options; their defaults are those of `Settings`."""
    default = Settings()
    options = argparse.ArgumentParser(
        prog="b2emulator",
        allow_abbrev=False,
        description="A local Backblaze B2, for trying and for tests.",
    )
    add = options.add_argument
    add("--port", type=int, default=0, help="0 (the default) takes a free one")
    add("--host", default=default.host, help="address to listen on (default: %(default)s)")
    add("--public-url", help="base URL to give to clients, when it is not the one they call")
    place = options.add_mutually_exclusive_group()
    place.add_argument("--data", type=Path, help="folder that keeps everything over restarts")
    place.add_argument(
        "--memory", action="store_true", help="keep nothing (default without --data)"
    )
    add("--tls", action="store_true", help="HTTPS with a certificate of its own making")
    add("--key-id", help="id of the master key (default: made up and kept)")
    add("--application-key", help="secret of the master key (default: made up and kept)")
    add("--bucket", action="append", default=[], metavar="NAME", help="private bucket to create")
    add("--min-part-size", type=int, default=default.min_part_size_bytes, metavar="BYTES")
    add("--recommended-part-size", type=int, metavar="BYTES", help="default 100 MB")
    add("--account-token-seconds", type=int, default=default.account_token_seconds)
    add("--upload-token-seconds", type=int, default=default.upload_token_seconds)
    add("--max-upload-size", type=int, default=default.max_upload_bytes, metavar="BYTES")
    add("--max-buckets", type=int, default=default.max_bucket_count, metavar="COUNT")
    add("--no-md5", action="store_true", help="contentMd5 is null: for measuring a client")
    add("--discard-bodies", action="store_true", help="keep sizes and checksums, serve zeros")
    add("--journal", type=int, default=default.journal_entries, metavar="CALLS")
    add("--fault", action="append", default=[], metavar="JSON", help="a fault from the start")
    add("--rate", type=float, metavar="CALLS", help="calls a second before 429")
    add("--secrets-file", type=Path, help="write key id, key and realm there, readable by you only")
    return options


def settings_from(given: argparse.Namespace) -> Settings:
    recommended = given.recommended_part_size
    if recommended is None:
        recommended = max(Settings().recommended_part_size_bytes, given.min_part_size)
    return Settings(
        data=given.data,
        host=given.host,
        port=given.port,
        public_url=given.public_url,
        key_id=given.key_id,
        application_key=given.application_key,
        buckets=tuple(given.bucket),
        min_part_size_bytes=given.min_part_size,
        recommended_part_size_bytes=recommended,
        max_upload_bytes=given.max_upload_size,
        account_token_seconds=given.account_token_seconds,
        upload_token_seconds=given.upload_token_seconds,
        max_bucket_count=given.max_buckets,
        content_md5=not given.no_md5,
        discard_bodies=given.discard_bodies,
        journal_entries=given.journal,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM. Exit: 0 ended on request, 1 could not start, 2 wrong usage.

    Standard output gets one line of JSON when the emulator is ready; what is for
    people goes to standard error.
    """
    options = parser()
    given = options.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        faults = [Rule.from_json(json.loads(text)) for text in given.fault]
    except (ValueError, B2Error) as error:
        options.error(f"--fault: {error}")
    try:
        settings = settings_from(given)
        # The port before the folder: who comes second must not touch what the first one uses.
        listener = listen(settings.host, settings.port)
        with closing(listener):
            emulator = Emulator(settings)
            try:
                certificate = make_certificate(emulator.folder, settings) if given.tls else None
                for rule in faults:
                    emulator.faults.add(rule)
                emulator.rate_limit.set(given.rate)
                asyncio.run(_serve(emulator, listener, certificate, given.secrets_file))
            finally:
                _close(emulator)
    except (OSError, sqlite3.Error, B2Error) as error:
        sys.stderr.write(f"b2emulator cannot start: {error}\n")
        return 1
    return 0


def _close(emulator: Emulator) -> None:
    """A disk that is full, or an index that is damaged, is no reason to end with an error."""
    try:
        emulator.close()
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(f"b2emulator could not save at its end: {error}\n")


async def _serve(
    emulator: Emulator,
    listener: socket.socket,
    certificate: Certificate | None,
    secrets_file: Path | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    port = listener.getsockname()[1]
    tls = certificate.context if certificate else None
    await run_until(
        *(emulator, listener, stop),
        lambda: _announce(emulator, port, certificate, secrets_file),
        tls,
    )


def _is_safe(realm: str) -> bool:
    """Whether a key may go there: by TLS, or without leaving this machine."""
    return realm.startswith("https://") or urlsplit(realm).hostname in _LOOPBACK


def _announce(
    emulator: Emulator, port: int, certificate: Certificate | None, secrets_file: Path | None
) -> None:
    settings, master = emulator.settings, emulator.keys.master
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    scheme = "https" if certificate else "http"
    own = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    realm = settings.public_url or own
    credentials = {"key_id": master.id, "application_key": master.secret, "realm": realm}
    more = {} if _is_safe(realm) else {"allow_http": True}  # b2jobs wants that to be meant
    if secrets_file is not None:
        secrets_file.touch(mode=0o600)
        secrets_file.chmod(0o600)
        secrets_file.write_text(json.dumps({**credentials, **more}) + "\n")
    sys.stderr.write(
        f"A local B2 is ready at {realm}\n"
        f"Secrets file for it:\n{json.dumps({**credentials, **more})}\n"
        f"b2 tool: B2_ENVIRONMENT={realm} b2 account authorize {master.id} {master.secret}\n"
        f"{certificate.how_to_trust() if certificate else ''}"
        "Ctrl-C ends it.\n"
    )
    sys.stderr.flush()
    ready = {**credentials, **more, "port": port, "admin": own + ADMIN_PATH.rstrip("/")}
    if certificate is not None:
        ready["ca_certificate"] = str(certificate.ca)
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
