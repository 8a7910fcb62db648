"""How every call to B2 is made for one job.

Each waits for its turn (governor, concurrency), is metered, can be interrupted, is tried
again for seconds where that helps (retry.py), and raises `JobError`s only.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from b2sdk.v3.exception import (
    B2Error,
    EmailNotVerified,
    InvalidAuthToken,
    NoPaymentHistory,
    Unauthorized,
)

from b2jobs.errors import JobError
from b2jobs_worker.attempt import Interrupted
from b2jobs_worker.b2 import errors, retry
from b2jobs_worker.b2.accounts import Account, Accounts
from b2jobs_worker.b2.calling import Caller, Interruptible, calling_as
from b2jobs_worker.b2.http import Carried
from b2jobs_worker.b2.meter import Meter
from b2jobs_worker.b2.protection import Encryption
from b2jobs_worker.b2.session import KeyRefused

T = TypeVar("T")

logger = logging.getLogger(__name__)

_ABSENT = frozenset({"file_not_found", "bucket_not_found", "already_hidden", "large_file_gone"})


class Calls:
    """How a call of one job is made, under one account. For many threads of one process."""

    def __init__(
        self, accounts: Accounts, account: str, attempt: Interruptible, meter: Meter
    ) -> None:
        self._accounts = accounts
        self._name = account
        self.attempt = attempt
        self._pace = partial(accounts.governor.moved, account, checkpoint=attempt.checkpoint)
        self._spend = partial(accounts.budgets.take, account)
        self.meter = meter
        self.customer_key: Encryption | None = None
        """What reads files that are encrypted with it (SSE-C): set before anything is read."""
        self._account: Account | None = None

    def account(self) -> Account:
        """The account, authorised; the same one for the whole job.

        Raises:
            OperatorError: `credentials_missing`, `credentials_invalid`, ...
        """
        account = self._account
        if account is None:
            account = self._accounts.get(self._name)
            if not account.is_authorised:
                self.once(account, "authorize_account", account.authorise, ())
            self._account = account
        return account

    def require(self, *capabilities: str, name: str | None = None) -> Account:
        """The account, when its key has *capabilities* and may use *name*. Costs no call.

        Raises:
            OperatorError: `capability_missing`, `name_not_allowed`.
        """
        account = self._account or self.account()
        allows = account.session.info.allows
        if not allows.capabilities.issuperset(capabilities):
            raise errors.capability_missing(set(capabilities) - allows.capabilities)
        prefix = allows.name_prefix
        if name is not None and prefix and not name.startswith(prefix):
            raise errors.name_not_allowed(name, prefix)
        return account

    def encryption(self, key_name: str) -> Encryption:
        """That with the customer's key of this name, which the secrets file has.

        Raises:
            CallerError: `customer_key_unknown`.
            OperatorError: `credentials_missing`, `credentials_invalid`, ...
        """
        return Encryption(key_name, self._accounts.customer_key(key_name))

    def may(self, capability: str) -> bool:
        """Whether the account's key has *capability*. Costs no call."""
        return capability in self.account().capabilities

    def call(
        self,
        name: str,
        act: Callable[[Account], T],
        *,
        needs: tuple[str, ...] = (),
        moves: int = 0,
        bucket: str | None = None,
        in_doubt: Callable[[], T | None] | None = None,
        absent: Callable[[bool], T] | None = None,
    ) -> T:
        """Make the call *name* (b2sdk's word), trying again for seconds where that helps.

        *needs* are the capabilities it takes, *moves* the bytes it sends, *bucket* what to
        forget when B2 does not know it.

        *in_doubt* and *absent* mark a call that commits: interrupted, it still waits a moment
        for its answer. *in_doubt* finds what earlier tries have made and removes all but one
        of it. It is asked when a try may have taken effect without saying so: before the next
        try, before giving up, and after a later try that succeeded, since the effect can come
        late. *absent* says the outcome when B2 knows nothing (any more) of what the call is
        about; it is told whether an earlier try may have been the reason.
        """
        tries = 0
        doubted = False
        failed: JobError | None = None
        try:
            while True:
                tries += 1
                try:
                    outcome = self._try(name, act, needs, moves, in_doubt or absent)
                    break
                except JobError as error:
                    failed = error
                doubted = doubted or failed.code in retry.DOUBTFUL
                if absent is not None and failed.code in _ABSENT:
                    return absent(doubted)
                if failed.code == "bucket_not_found" and bucket is not None:
                    self.account().forget_bucket(bucket)
                pause = retry.pause_before_next(failed, tries)
                if pause is not None:
                    self.sleep(pause)
                if in_doubt is not None and doubted:
                    try:
                        found = in_doubt()
                    except JobError as error:
                        # The next attempt looks. This one ends for the call's own reason.
                        raise (failed if pause is None else error) from None
                    if found is not None:
                        return found
                if pause is None:
                    raise failed
        finally:
            failed = None  # it holds this frame: holding it here too would keep both
        if in_doubt is not None and doubted:
            try:
                return in_doubt() or outcome
            except (JobError, Interrupted) as error:
                # What was made must be told, or nobody would know of it.
                logger.warning("%s: what an earlier try made is not looked for: %s", name, error)
        return outcome

    def _try(
        self,
        name: str,
        act: Callable[[Account], T],
        needs: tuple[str, ...],
        moves: int,
        commits: object,
    ) -> T:
        """Wait for the call's turn and make it once."""
        self.attempt.checkpoint()
        account = self.require(*needs)
        since = self.attempt.trace.clock()
        self._accounts.governor.admit(account.name, self.attempt.checkpoint)
        account.concurrency.enter(self.attempt.checkpoint)
        self.attempt.trace.waited(since, "pace")
        overloaded = False
        try:
            return self.once(account, name, partial(act, account), needs, commits=bool(commits))
        except JobError as error:
            overloaded = error.code in retry.OVERLOADED
            raise
        finally:
            account.concurrency.leave(moves, overloaded=overloaded)

    def once(
        self,
        account: Account,
        name: str,
        act: Callable[[], T],
        needs: tuple[str, ...],
        *,
        commits: bool = False,
    ) -> T:
        """Make the call *name* once, for this job, and raise `JobError`s only."""
        trace = self.attempt.trace
        if not trace.records:
            return self._once(account, name, act, needs, commits)
        with trace.part(f"b2.{name}", account=account.name):
            return self._once(account, name, act, needs, commits)

    def _once(
        self,
        account: Account,
        name: str,
        act: Callable[[], T],
        needs: tuple[str, ...],
        commits: bool,
    ) -> T:
        try:
            with calling_as(Caller(self.attempt, self.meter, self._spend, self._pace, commits)):
                return act()
        except Carried as carried:
            taken = carried.take()
            _forget_locals(taken)
            raise taken from None
        except B2Error as error:
            _forget_locals(error)
            # An aborted connection looks like a broken one; the reason is the interruption.
            self.attempt.checkpoint()
            missing = () if name == "authorize_account" else set(needs) - account.capabilities
            if _is_about_the_key(error) and name != "authorize_account":
                self._ask_whether_key_is_valid(account)
            converted = errors.convert(error, missing=missing)
            if converted.wait is not None and converted.wait.reason in ("rate_limited", "cap"):
                self._accounts.governor.pause(account.name, converted)
            raise converted from error

    @staticmethod
    def _ask_whether_key_is_valid(account: Account) -> None:
        """Raise `credentials_invalid` when B2 does not know the key any more.

        A call with a deleted key is refused like one that the key may not make.
        """
        try:
            account.session.authorize_automatically()
        except KeyRefused as refused:
            raise errors.convert(refused) from refused
        except B2Error:
            return  # not to be learned now: the first refusal counts

    def sleep(self, seconds: float) -> None:
        """Wait, and raise `Interrupted` when the attempt must end meanwhile."""
        since, end = self.attempt.trace.clock(), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.attempt.checkpoint()
            time.sleep(min(left, 0.1))
        self.attempt.trace.waited(since, "backoff")


def _forget_locals(error: BaseException) -> None:
    """Let the frames of *error* hold nothing any more.

    Those of b2sdk and of the HTTP session hold headers: the account's token, customers' keys.
    Tools that print tracebacks with their variables would show them.
    """
    following: BaseException | None = error
    while following is not None:
        traceback.clear_frames(following.__traceback__)
        following = following.__cause__ or following.__context__


def _is_about_the_key(error: B2Error) -> bool:
    return isinstance(error, Unauthorized) and not isinstance(
        error, InvalidAuthToken | EmailNotVerified | NoPaymentHistory
    )
