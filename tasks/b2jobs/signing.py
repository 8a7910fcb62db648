"""Who wrote this: signatures of producers, and seals of workers. The one place for both.

A *signature* goes with what is submitted. It covers all that a job does (its id, kind, arguments,
priority, key, retry, expires) and when it was asked for; it is good for one end of the job, and
for so many seconds. A *seal* goes before what workers leave for workers in Redis, and is bound to
the place where it was left, so that it means nothing anywhere else. Both are HMAC-SHA256, cut to
128 bits; docs/decisions/signing.md says why.

Without keys nothing is signed or sealed, and everything is believed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, overload

from b2jobs import keyfile
from b2jobs.errors import InvalidJob
from b2jobs.keyfile import WORKERS, Key
from b2jobs.signed import (
    MARK,
    UNSIGNED,
    SealRefused,
    SignatureRefused,
    Signed,
    Submission,
    believed,
    celery_message,
    check_time,
    header_of,
    invalid,
    missing,
    split,
)

KEYS_VARIABLE = "B2JOBS_KEYS_FILE"
CELERY_HEADER = "b2jobs"
ANYONE = "*"
"""As whose seal is asked for: any key will do."""
_LOOK_SECONDS = 1.0
_MAC_DIGITS = 32

logger = logging.getLogger(__name__)


class Ring:
    """The keys of one process, and what it believes. Thread-safe.

    path: the file of keys, read again when it has changed; without it there are none.
    required: refuse what is not signed or sealed.
    scope: the installation; what was signed for another one is refused.

    `told` is called for each thing that is refused, with its code or what it stood as.
    """

    def __init__(
        self, path: Path | None = None, *, required: bool = False, scope: str = ""
    ) -> None:
        self.required = required
        self.told: Callable[[str], None] = lambda _: None
        self._path = path
        self._scope = scope
        self._keys: dict[str, Key] = {}
        self._seen: tuple[int, ...] = ()
        self._looked_at = float("-inf")
        self._look()

    @property
    def name(self) -> str:
        """Who this process signs as: a producer's name, or `workers`; empty without keys."""
        key = self._own()
        return key.owner if key else ""

    @property
    def is_workers(self) -> bool:
        """Whether this process has the keys of workers."""
        return self.name == WORKERS

    # -- what is submitted ----------------------------------------------------------------

    def sign(
        self,
        submission: Submission,
        *,
        retry: float,
        expires: float | None = None,
        delay: float = 0.0,
        asked: Signed | None = None,
    ) -> str:
        """The signature as the record has it; empty without keys.

        *asked*: for workers, who submit for somebody else: for whom, when, and under which token.
        """
        key = self._own()
        if key is None:
            return ""
        asked = asked or Signed(key.owner, secrets.token_hex(16), time.time())
        said = Signed(asked.producer, asked.token, asked.at, delay, expires, retry)
        header = {"by": key.id, "for": said.producer, "at": said.at, "retry": retry}
        header |= {"delay": delay} if delay else {}
        header |= {"expires": expires} if expires is not None else {}
        text = json.dumps(header, separators=(",", ":"))
        start = f"{said.token} {int(said.ends)}"
        return f"{start} {self._submission_mac(key, submission, start, text)} {text}"

    def asked(self, producer: str, token: str = "", at: float | None = None) -> Signed:
        """For whom a worker submits a job; *token*, where asked twice it must run once."""
        now = time.time() if at is None else at
        return Signed(producer, token or secrets.token_hex(16), now)

    def check(self, submission: Submission, signature: str, *, in_time: bool = True) -> Signed:
        """Who signed *submission*, and for when.

        Raises:
            SignatureRefused: `signature_missing`, `signature_invalid`, `signature_expired`.
        """
        with self._telling():
            return self._checked(submission, signature, in_time=in_time)

    def _checked(self, submission: Submission, signature: str, *, in_time: bool) -> Signed:
        if not signature or not self._looked():
            self._may_be_unsigned()
            return UNSIGNED
        try:
            token, ends, mac, text = signature.split(" ", 3)
            said = header_of(text)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise invalid("is not one") from None
        key = self._known(said.pop("by"))
        if key is None:
            raise invalid("was made with a key that is not known here")
        expected = self._submission_mac(key, submission, f"{token} {ends}", text)
        if not hmac.compare_digest(mac.encode(), expected.encode()):
            raise invalid("is of something else, or was changed")
        found = Signed(producer=said.pop("for"), token=token, **said)
        if key.owner not in (WORKERS, found.producer):
            raise invalid(f"by {key.owner} speaks for {found.producer}")
        if in_time:
            check_time(found)
        return found

    def _submission_mac(self, key: Key, job: Submission, start: str, header: str) -> str:
        parts = (job.id, job.kind, job.priority, job.key, job.request)
        return self._mac(key, "job", start, header, *parts, *([job.trace] if job.trace else []))

    # -- messages of plain Celery ---------------------------------------------------------

    def sign_message(self, task: str, job_id: str, said: object) -> dict[str, Any] | None:
        """The header `b2jobs` of a Celery message about *said*; None without keys."""
        key = self._own()
        if key is None:
            return None
        at = time.time()
        return {"by": key.id, "at": at, "mac": self._message_mac(key, at, task, job_id, said)}

    def check_message(self, header: object, task: str, job_id: str, said: object) -> Signed:
        """Who signed a Celery message.

        Raises:
            SignatureRefused: as `check`.
        """
        with self._telling():
            return self._checked_message(header, task, job_id, said)

    def _checked_message(self, header: object, task: str, job_id: str, said: object) -> Signed:
        if header is None or not self._looked():
            self._may_be_unsigned()
            return Signed(at=time.time(), token=secrets.token_hex(16))
        if not isinstance(header, dict) or not isinstance(header.get("mac"), str):
            raise invalid("is not one")
        at, key = header.get("at"), self._known(header.get("by"))
        if key is None or not isinstance(at, float):
            raise invalid("was made with a key that is not known here")
        expected = self._message_mac(key, at, task, job_id, said)
        if not hmac.compare_digest(header["mac"].encode(), expected.encode()):
            raise invalid("is of something else, or was changed")
        return Signed(producer=key.owner, token=expected, at=at)

    def _message_mac(self, key: Key, at: float, task: str, job_id: str, said: object) -> str:
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=str)
        return self._mac(key, "message", repr(at), task, job_id, text)

    # -- what is left in Redis ------------------------------------------------------------

    @overload
    def seal(self, content: str, what: str, *place: object) -> str: ...
    @overload
    def seal(self, content: bytes, what: str, *place: object) -> bytes: ...

    def seal(self, content: str | bytes, what: str, *place: object) -> str | bytes:
        """*content* with this process's seal before it; as it is without keys.

        *what* and *place* say where it is left: nowhere else is it believed.
        """
        key = self._own()
        if key is None:
            return content
        start = f"{MARK}{key.id} {self._seal_mac(key, content, what, place)}\n"
        return start + content if isinstance(content, str) else start.encode() + content

    @overload
    def unseal(self, sealed: str, what: str, *place: object, by: str = WORKERS) -> str: ...
    @overload
    def unseal(self, sealed: bytes, what: str, *place: object, by: str = WORKERS) -> bytes: ...

    def unseal(self, sealed: str | bytes, what: str, *place: object, by: str = WORKERS) -> Any:
        """What was sealed, by workers or by *by*; a producer, who cannot check it, believes it.

        Raises:
            SealRefused: its seal is wrong, or there is none and one is required.
        """
        start, content = split(sealed)
        if not start:
            if self.required:
                with self._telling(what):
                    raise SealRefused(f"What stands as {what} has no seal.")
            return content
        if self.is_workers:
            self.sealed_by(sealed, what, *place, by=by)
        return content

    def unsealed_fields(
        self, found: Mapping[str, str], what: str, *place: object
    ) -> dict[str, str]:
        """Those fields of a hash whose seals, each bound to its name, are believed."""
        opened = {
            name: believed(lambda: self.unseal(text, what, *place, name), None)  # noqa: B023 - at once
            for name, text in found.items()
        }
        return {name: text for name, text in opened.items() if text is not None}

    def sealed_by(self, sealed: str | bytes, what: str, *place: object, by: str = ANYONE) -> str:
        """Whose seal stands before what was sealed; empty where there is none.

        Raises:
            SealRefused: it is wrong, or its key is not here.
        """
        start, content = split(sealed)
        if not start:
            return ""
        with self._telling(what):
            return self._sealed_by(start, content, what, place, by)

    def _sealed_by(
        self, start: str, content: str | bytes, what: str, place: tuple[object, ...], by: str
    ) -> str:
        named, _, mac = start.removeprefix(MARK).partition(" ")
        key = self._known(named)
        if key is None or (by != ANYONE and key.owner not in (WORKERS, by)):
            raise SealRefused(f"What stands as {what} was sealed by somebody who may not.")
        expected = self._seal_mac(key, content, what, place)
        if not hmac.compare_digest(mac.encode(), expected.encode()):
            raise SealRefused(f"What stands as {what} was changed, or belongs elsewhere.")
        return key.owner

    def _seal_mac(
        self, key: Key, content: str | bytes, what: str, place: tuple[object, ...]
    ) -> str:
        raw = content.encode(errors="surrogatepass") if isinstance(content, str) else content
        return self._mac(key, f"seal {what}", *map(str, place), raw)

    # -- results --------------------------------------------------------------------------

    def seal_result(self, result: dict[str, Any], producer: str) -> dict[str, Any]:
        """*result* with a seal that *producer* can check; as it is where it has no key here."""
        owner = producer or self.name
        key = next((key for key in self._looked().values() if key.owner == owner), None)
        if key is None:
            return result
        return {**result, "seal": f"{key.id} {self._result_mac(key, result)}"}

    def check_result(self, result: dict[str, Any], job_id: str | None) -> None:
        """Whether a worker wrote *result*, and of the job *job_id* where that is given.

        Raises:
            SealRefused
        """
        if not self._looked():
            return
        with self._telling("result"):
            self._check_result(result)
            if job_id is not None and result.get("job") != job_id:
                raise SealRefused("The result is another job's.")

    def _check_result(self, result: dict[str, Any]) -> None:
        rest = {name: value for name, value in result.items() if name != "seal"}
        named, _, mac = str(result.get("seal", "")).partition(" ")
        key = self._known(named)
        if key is None or not hmac.compare_digest(
            mac.encode(), self._result_mac(key, rest).encode()
        ):
            raise SealRefused("The result has no seal that this producer's key fits.")

    def _result_mac(self, key: Key, result: dict[str, Any]) -> str:
        text = json.dumps(result, sort_keys=True, separators=(",", ":"))
        return self._mac(key, "result", text)

    # -------------------------------------------------------------------------------------

    @contextmanager
    def _telling(self, what: str = "") -> Iterator[None]:
        """Tell of what is refused meanwhile, as *what* or by its code."""
        try:
            yield
        except (SignatureRefused, SealRefused) as error:
            self.told(what or error.code)
            raise

    def _mac(self, key: Key, *parts: str | bytes) -> str:
        told = hmac.new(key.secret, digestmod=hashlib.sha256)
        for part in ("b2jobs 1", self._scope, *parts):
            raw = part.encode(errors="surrogatepass") if isinstance(part, str) else part
            told.update(len(raw).to_bytes(8))
            told.update(raw)
        return told.hexdigest()[:_MAC_DIGITS]

    def _may_be_unsigned(self) -> None:
        if self.required:
            raise missing()

    def _own(self) -> Key | None:
        return next(iter(self._looked().values()), None)

    def _known(self, key_id: object) -> Key | None:
        return self._looked().get(key_id) if isinstance(key_id, str) else None

    def _looked(self) -> dict[str, Key]:
        if self._path is not None and time.monotonic() - self._looked_at > _LOOK_SECONDS:
            try:
                self._look()
            except InvalidJob as error:  # half written, perhaps: what was read before holds
                logger.error("%s", error)
        return self._keys

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        if self._path is None:
            return
        seen: tuple[int, ...] = ()
        with suppress(OSError):  # said by who reads it
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode)
        if not seen or seen != self._seen:
            self._keys = {key.id: key for key in keyfile.read(self._path)}
            self._seen = seen


@cache
def ring(path: Path | None = None, required: bool = False, scope: str = "") -> Ring:
    """The one ring of these in this process.

    Raises:
        InvalidJob: the file of keys cannot be used, or is needed and not named.
    """
    if required and path is None:
        raise InvalidJob(
            "Signatures are required, and no file of keys is named.",
            code="keys_missing",
            hint="Set B2JOBS_KEYS_FILE; `b2jobs keys make NAME` writes it.",
            field="keys_file",
        )
    return Ring(path, required=required, scope=scope)


def sign_message(
    sender: str = "", headers: dict[str, Any] | None = None, body: Any = None, **rest: object
) -> None:
    """Sign the b2jobs messages that an application's Celery sends, with `B2JOBS_KEYS_FILE`.

        from b2jobs.signing import sign_message
        before_task_publish.connect(sign_message)

    Celery's second protocol, which is its default, is needed.

    Raises:
        InvalidJob: the file of keys cannot be used.
    """
    del rest
    path = os.environ.get(KEYS_VARIABLE)
    if not path or headers is None or not str(sender).startswith("b2jobs."):
        return
    keys = ring(Path(path), scope=os.environ.get("B2JOBS_KEY_PREFIX", ""))
    said = celery_message(headers, *body)
    signature = keys.sign_message(
        str(sender), str(headers["id"]), json.loads(json.dumps(said, default=str))
    )
    headers[CELERY_HEADER] = signature
