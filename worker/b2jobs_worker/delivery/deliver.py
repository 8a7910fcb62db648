"""A job's way through one worker: claim, attempt, and what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from b2jobs.errors import (
    Failure,
    InternalError,
    InvalidJob,
    JobError,
    PassingError,
    QueueUnavailable,
)
from b2jobs.requests import Job, build
from b2jobs.results import Result
from b2jobs.signed import UNSIGNED
from b2jobs_worker import logs, tracing
from b2jobs_worker.attempt import Interrupted, Settled
from b2jobs_worker.delivery import retry, shutdown
from b2jobs_worker.delivery.attempt import JobAttempt
from b2jobs_worker.delivery.claims import (
    LOSSES_THAT_FAIL,
    Claim,
    Claims,
    Ended,
    Line,
    Outcome,
    until_redis_answers,
)
from b2jobs_worker.delivery.ends import batch_of, log_end
from b2jobs_worker.delivery.leases import Leases
from b2jobs_worker.delivery.own_process import run_in_own_process
from b2jobs_worker.work import Work

_OPEN = ("queued", "running", "waiting")
logger = logging.getLogger(__name__)


def deliver(
    job_id: str,
    work_of: Callable[[str], Work[Any] | None],
    claims: Claims,
    leases: Leases,
    *,
    module: str,
    line: Callable[[], Line | None] = lambda: None,
) -> Outcome | None:
    """Answer a doorbell; what became of the job. None where it is held, ended, or not due.

    *work_of* a kind: the work, or None where this worker does not know it; others may. A suspect
    runs in a process of its own, which finds the same work in *module*. Where *line* says so, the
    next job is taken in the same step that ends this one, and so on: nobody asks what became of
    them then, and the answer is the last one's, or None.

    Raises:
        QueueUnavailable: Redis went away before the job was claimed; the keeper rings again.
    """
    if shutdown.has_begun():
        claims.ring_again(job_id)
        return None
    claim = claims.take(job_id)
    outcome = None
    while claim is not None:
        work = work_of(claim.kind)
        if work is None:
            logger.warning("job %s: the kind %.100r is not known here", claim.job_id, claim.kind)
            claims.hand_back(claim)
            return None
        delivery = Delivery(claim, work, claims, leases, line)
        is_cancelled = claim.is_cancelled and not claims.records.ring.required  # else it looks
        if claim.is_suspect and not is_cancelled:
            _deliver_suspect(delivery, module)
        else:
            delivery.run()
        outcome = delivery.outcome
        if outcome is None and line() is None:
            outcome = claims.outcome(claim.job_id)
        claim = delivery.following
    return outcome


def _deliver_suspect(delivery: Delivery, module: str) -> None:
    claim, claims = delivery.claim, delivery.claims
    with delivery.held():
        if not run_in_own_process(claim, module, started=delivery.let_go):
            until_redis_answers(
                lambda: claims.hand_back(claim, losses=claim.losses),
                give_up=shutdown.grace_is_over,
            )


class Delivery:
    """One attempt from its claim to what is written about it.

    following: the job that was taken when this one ended, to be run next.
    """

    def __init__(
        self,
        claim: Claim,
        work: Work[Any],
        claims: Claims,
        leases: Leases,
        line: Callable[[], Line | None] = lambda: None,
    ) -> None:
        self.claim = claim
        self.claims = claims
        self.leases = leases
        self.work = work
        self.attempt = JobAttempt(claim, claims)
        self.signed = UNSIGNED
        self.outcome: Outcome | None = None  # where nobody else has written it
        self.following: Claim | None = None
        self._line = line

    @contextmanager
    def held(self) -> Iterator[None]:
        """Renew the lease while the context lasts, or until `let_go`."""
        self.leases.hold(self.attempt)
        try:
            yield
        finally:
            self.let_go()

    def let_go(self) -> None:
        self.leases.release(self.attempt)

    def run(self) -> None:
        """Make the attempt and note how it ended."""
        refused: InvalidJob | None = None
        with self.held():
            try:
                self._admit()
            except InvalidJob as error:
                refused = error
            with self._told(is_trusted=refused is None):
                self._run(refused)

    @contextmanager
    def _told(self, *, is_trusted: bool) -> Iterator[None]:
        """While the context lasts, logs and spans are this job's, in its producer's trace."""
        claim, place = self.claim, self.claim.trace if is_trusted else ""
        # A planner naps many times a minute.
        naps = claim.kind in ("batch", "sync") and claim.awaited == "window"
        about = {"job": claim.job_id, "attempt": claim.attempt, "batch": batch_of(claim)}
        since = 0.0 if naps else claim.since
        with tracing.attempt(claim.kind, place, since, claim.awaited, **about) as trace:
            self.attempt.trace = trace
            with logs.about(job=claim.job_id, batch=batch_of(claim), trace=trace.id):
                yield
            outcome = self.outcome
            if outcome is not None:
                trace.ends(outcome.state, outcome.failure.code if outcome.failure else "")

    def _run(self, refused: InvalidJob | None) -> None:
        logger.debug("job %s: attempt %d starts", self.claim.job_id, self.claim.attempt)
        try:
            if refused is not None:
                raise refused
            request = build(self.claim.kind, self.claim.arguments)
            forbidden = self._refusal(request)
            if forbidden is not None and self.claim.attempt == 1:
                self._note_failure(forbidden)  # nothing was begun
            elif forbidden is not None:
                self._give_up(request, forbidden)
            elif self.claim.is_poison:
                self._give_up(request, _worker_lost(self.claim))
            elif self.claim.is_cancelled and self.attempt.is_told_to_stop():
                self._cancelled(request)
            else:
                self._try(request)
        except Settled:
            logger.debug("job %s: settled by its own work", self.claim.job_id)
            if self.signed.token and self.claims.outcome(self.claim.job_id).state not in _OPEN:
                self.claims.used.add(self.claim.signature)
        except InvalidJob as error:
            self._note_failure(invalid(error, self.claim.attempt))
        except QueueUnavailable as error:
            # The worker is stopping and Redis does not answer: the lease will run out.
            logger.warning("job %s: its outcome is not noted: %s", self.claim.job_id, error)

    def _admit(self) -> None:
        """Find out who asked, before anything is touched, and what the job may do.

        Raises:
            SignatureRefused
        """
        self.signed = self.attempt.signed = self.claims.check(self.claim)
        if self.signed.token:
            self.claim = replace(self.claim, retry_seconds=self.signed.retry)
        self.attempt.permit = self.claims.permit(self.signed.producer, self.claim)

    def _refusal(self, request: Job) -> Failure | None:
        """Why the policy does not let the job be done, if it does not."""
        try:
            self.attempt.permit.request(request)
        except JobError as error:
            return error.failure(self.claim.attempt)
        return None

    def _try(self, request: Job) -> None:
        try:
            result = self.work.run(request, self.attempt)
        except Settled:
            raise
        except Interrupted as interrupted:
            self._interrupted(request, interrupted)
        except QueueUnavailable as error:
            self._failed(request, PassingError(error.code, str(error)))
        except JobError as error:
            self._failed(request, error)
        except Exception as error:
            logger.exception(
                "job %s: a bug ended attempt %d", self.claim.job_id, self.claim.attempt
            )
            found = InternalError("internal_error", f"{type(error).__name__}: {error}")
            self._failed(request, found)
        else:
            self._succeeded(request, result)

    def _succeeded(self, request: Job, result: Result) -> None:
        said = result.model_copy(
            update={
                "job": self.claim.job_id,
                "kind": self.claim.kind,
                "attempts": self.claim.attempt,
            }
        ).as_json()
        said = self.claims.records.ring.seal_result(said, self.signed.producer)
        made = self.work.traces(result)
        # What an outdated owner made may be what this attempt found and returns.
        kept = {str(value) for value in (made, *said.values())}
        self._remove_strays(request, kept)
        ended = self._end(lambda line: self.claims.succeed(self.claim, said, line))
        if ended is None:
            self._disown(request, made)
        else:
            log_end(self.claim, "succeeded", self._seconds(), result=said)
            self.outcome = Outcome("succeeded")
            self._remove(request, [stray for stray in ended.strays if stray not in kept])

    def _failed(self, request: Job, error: JobError) -> None:
        decision = self._decide(error)
        failure = error.failure(self.claim.attempt)
        if isinstance(decision, retry.Again):
            self._park(decision, failure)
        else:
            hint = f"{failure.hint} {decision.because}".strip()
            self._give_up(request, failure.model_copy(update={"hint": hint}))

    def _seconds(self) -> float:
        """Since the job's first attempt began."""
        return self.claim.elapsed_seconds + self.attempt.seconds()

    def _decide(self, error: JobError) -> retry.Again | retry.End:
        return retry.decide(
            error,
            attempt=self.claim.attempt,
            elapsed_seconds=self._seconds(),
            budget_seconds=self.claim.retry_seconds,
        )

    def _park(self, again: retry.Again, failure: Failure) -> None:
        claim, delay = self.claim, again.delay_seconds
        logger.info("job %s: %s; again in %.1f s", claim.job_id, failure.code, delay)
        if self._note(lambda: self.claims.park(claim, again.reason, delay, failure) or None):
            self.outcome = Outcome("waiting", failure)

    def _give_up(self, request: Job, failure: Failure) -> None:
        """Remove what is unfinished, then end the job; the failure counts, not the removing."""
        if self.claim.losses <= LOSSES_THAT_FAIL:  # else removing it is what kills workers
            self._clean_up(request)
        self._note_failure(failure)

    def _cancelled(self, request: Job) -> None:
        """Remove what is unfinished, again later where that can heal, then end the job."""
        error = self._clean_up(request)
        decision = self._decide(error) if error is not None else retry.End()
        if error is not None and isinstance(decision, retry.Again):
            self._park(decision, error.failure(self.claim.attempt))
        else:
            self._note_cancelled()

    def _clean_up(self, request: Job) -> JobError | None:
        """Remove what attempts left unfinished and outdated owners made; why it could not be."""
        # An attempt of its own, which the cancellation that led here does not interrupt.
        remover = JobAttempt(self.claim, self.claims, heeds_cancel=False)
        remover.permit, remover.trace = self.attempt.permit, self.attempt.trace
        try:
            self.work.abandon(request, remover)
            self._remove_strays(request, set())
        except Settled:
            raise
        except Interrupted:
            logger.warning("job %s: somebody else removes its leftovers", self.claim.job_id)
        except JobError as error:
            logger.warning("job %s: leftovers not removed: %s", self.claim.job_id, error)
            return error
        except QueueUnavailable:
            raise
        except Exception:
            logger.exception("job %s: a bug kept leftovers from being removed", self.claim.job_id)
        return None

    def _interrupted(self, request: Job, interrupted: Interrupted) -> None:
        logger.info("job %s: %s", self.claim.job_id, interrupted.reason)
        if interrupted.reason == "handed_back":
            self._note(lambda: self.claims.hand_back(self.claim) or None)
        elif interrupted.reason == "cancelled":
            self._cancelled(request)

    def _note_cancelled(self) -> None:
        claim = self.claim
        failure = Failure(
            code="cancelled",
            message="The job was cancelled.",
            act="caller",
            attempts=claim.attempt,
        )
        if self._end(lambda line: self.claims.cancelled(claim, failure, line)) is not None:
            self.outcome = Outcome("cancelled", failure)
            log_end(self.claim, "cancelled", self._seconds())

    def _note_failure(self, failure: Failure) -> None:
        if self._end(lambda line: self.claims.fail(self.claim, failure, line)) is not None:
            self.outcome = Outcome("failed", failure)
            log_end(self.claim, "failed", self._seconds(), failure=failure)

    def _end(self, act: Callable[[Line | None], Ended | None]) -> Ended | None:
        # A first attempt has no strays to remove, for which the next job would have to wait.
        goes_on = self.claim.attempt == 1 and not shutdown.has_begun()
        line = self._line() if goes_on else None
        ended: Ended | None = self._note(lambda: act(line))
        if ended is not None:
            self.following = ended.following
        return ended

    def _note(self, act: Any) -> Any:
        """Write to the record, as long as Redis needs to answer; None: not ours any more."""
        said = until_redis_answers(act, give_up=shutdown.grace_is_over)
        if said is None:
            logger.warning("job %s: somebody else has it by now", self.claim.job_id)
        return said

    def _disown(self, request: Job, made: str | None) -> None:
        if made is None:
            return
        state, result = self._note(lambda: self.claims.disown(self.claim.job_id, made))
        if state in ("succeeded", "failed", "cancelled"):
            kept = {str(value) for value in (result or {}).values()}
            self._remove(request, [] if made in kept else [made])

    def _remove_strays(self, request: Job, kept: set[str]) -> None:
        """Remove what outdated owners made, all but *kept*, while the job is still ours.

        Done before the job ends, so that another attempt does it should this one die.
        """
        if self.claim.attempt > 1:
            strays = self._note(lambda: self.claims.strays(self.claim.job_id))
            self._remove(request, [stray for stray in strays if stray not in kept])

    def _remove(self, request: Job, strays: list[str]) -> None:
        for stray in strays:
            try:
                self.work.undo(request, stray)
            except JobError as error:
                logger.warning("job %s: stray %s not removed: %s", self.claim.job_id, stray, error)


def invalid(error: InvalidJob, attempt: int = 0) -> Failure:
    """What a request that can never succeed looks like as a failure."""
    return Failure(
        code=error.code, message=str(error), hint=error.hint, act="caller", attempts=attempt
    )


def _worker_lost(claim: Claim) -> Failure:
    return Failure(
        code="worker_lost",
        message=f"{claim.losses} workers in a row died while they ran this job, the last of them "
        "a process that ran nothing else.",
        hint="Look for out-of-memory kills or crashes in the workers' logs, then retry the job.",
        act="operator",
        attempts=claim.attempt,
    )
