"""A job's way through one worker: claim, attempt, and what becomes of it."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from b2jobs.errors import (
    Failure,
    InternalError,
    InvalidJob,
    JobError,
    PassingError,
    QueueUnavailable,
)
from b2jobs.jobs import Job, Result, build
from b2jobs_worker.delivery import retry, shutdown
from b2jobs_worker.delivery.attempt import JobAttempt
from b2jobs_worker.delivery.leases import Claim, Leases, leases, until_redis_answers
from b2jobs_worker.transfer.attempt import Attempt, Interrupted, Settled

logger = logging.getLogger(__name__)


class Work(Protocol):
    """What a kind of job does, apart from how it is delivered."""

    def run(self, request: Job, attempt: Attempt) -> Result:
        """Take effect once, however often it is called for the same job.

        Raises:
            JobError: what went wrong, and whether it can heal.
            Interrupted: the attempt was told to end.
            Settled: the work has written the job's end, or how it waits, itself.
        """

    def abandon(self, request: Job, attempt: Attempt) -> None:
        """Remove what attempts left unfinished; the job ends without its effect.

        Raises:
            JobError: something is left; the journal still knows what.
        """

    def undo(self, request: Job, made: str) -> None:
        """Remove what an outdated owner made; *made* is from `traces`. Twice does nothing."""

    def traces(self, result: Result) -> str | None:
        """What this attempt newly made, to be undone if it turns out outdated; None for nothing."""


def deliver(job_id: str, work: Work) -> None:
    """Answer a doorbell. Does nothing for a job that is held, ended, or not due.

    Raises:
        QueueUnavailable: Redis went away before the job was claimed; the keeper rings again.
    """
    if shutdown.has_begun():
        leases().ring_again(job_id)
        return
    claim = leases().claim(job_id)
    if claim is not None:
        _Delivery(claim, leases(), work).run()


class _Delivery:
    """One attempt from its claim to what is written about it."""

    def __init__(self, claim: Claim, held: Leases, work: Work) -> None:
        self.claim = claim
        self.leases = held
        self.work = work
        self.attempt = JobAttempt(claim, held)

    def run(self) -> None:
        logger.info("job %s: attempt %d starts", self.claim.job_id, self.claim.attempt)
        self.leases.hold(self.attempt)
        try:
            if self.claim.is_poison:
                self._give_up(_worker_lost(self.claim))
            elif self.claim.is_cancelled:
                if self._clean_up():
                    self._note_cancelled()
            else:
                self._try()
        except Settled:
            logger.debug("job %s: settled by its own work", self.claim.job_id)
        except QueueUnavailable as error:
            # The worker is stopping and Redis does not answer: the lease will run out.
            logger.warning("job %s: its outcome is not noted: %s", self.claim.job_id, error)
        finally:
            self.leases.release(self.attempt)

    def _try(self) -> None:
        try:
            request = build(self.claim.kind, self.claim.arguments)
        except InvalidJob as error:
            self._note_failure(invalid(error, self.claim.attempt))
            return
        try:
            result = self.work.run(request, self.attempt)
        except Settled:
            raise
        except Interrupted as interrupted:
            self._interrupted(interrupted)
        except QueueUnavailable as error:
            self._failed(PassingError(error.code, str(error)))
        except JobError as error:
            self._failed(error)
        except Exception as error:
            logger.exception(
                "job %s: a bug ended attempt %d", self.claim.job_id, self.claim.attempt
            )
            self._failed(InternalError("internal_error", f"{type(error).__name__}: {error}"))
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
        strays = self._note(lambda: self.leases.succeed(self.claim, said))
        made = self.work.traces(result)
        if strays is None:
            self._disown(request, made)
        else:
            logger.info("job %s: succeeded", self.claim.job_id)
            self._remove(request, [stray for stray in strays if stray != made])

    def _failed(self, error: JobError) -> None:
        claim = self.claim
        decision = retry.decide(
            error,
            attempt=claim.attempt,
            elapsed_seconds=claim.elapsed_seconds + self.attempt.seconds(),
            budget_seconds=claim.retry_seconds,
        )
        failure = error.failure(claim.attempt)
        if isinstance(decision, retry.Again):
            again = decision
            logger.info(
                "job %s: %s; again in %.1f s", claim.job_id, failure.code, again.delay_seconds
            )
            self._note(
                lambda: self.leases.park(claim, again.reason, again.delay_seconds, failure) or None
            )
        else:
            self._give_up(failure)

    def _give_up(self, failure: Failure) -> None:
        """Remove what is unfinished, then end the job."""
        if not self._clean_up():
            return
        self._note_failure(failure)

    def _clean_up(self) -> bool:
        """Remove what earlier attempts left unfinished; whether the job is still ours."""
        # An attempt of its own, which the cancellation that led here does not interrupt.
        remover = JobAttempt(self.claim, self.leases)
        try:
            self.work.abandon(build(self.claim.kind, self.claim.arguments), remover)
        except Interrupted as interrupted:
            return interrupted.reason != "lease_lost"
        except (JobError, InvalidJob) as error:
            # The job ends in any case; what could not be removed is said in the log.
            logger.warning("job %s: leftovers not removed: %s", self.claim.job_id, error)
        return True

    def _interrupted(self, interrupted: Interrupted) -> None:
        claim = self.claim
        logger.info("job %s: %s", claim.job_id, interrupted.reason)
        if interrupted.reason == "handed_back":
            self._note(lambda: self.leases.hand_back(claim) or None)
        elif interrupted.reason == "cancelled":
            self._note_cancelled()

    def _note_cancelled(self) -> None:
        claim = self.claim
        failure = Failure(
            code="cancelled",
            message="The job was cancelled.",
            act="caller",
            attempts=claim.attempt,
        )
        self._note(lambda: self.leases.cancelled(claim, failure))

    def _note_failure(self, failure: Failure) -> None:
        logger.warning("job %s: failed: %s", self.claim.job_id, failure)
        self._note(lambda: self.leases.fail(self.claim, failure))

    def _note(self, act: Any) -> Any:
        """Write to the record, as long as Redis needs to answer; None: not ours any more."""
        said = until_redis_answers(act, give_up=shutdown.grace_is_over)
        if said is None:
            logger.warning("job %s: somebody else has it by now", self.claim.job_id)
        return said

    def _disown(self, request: Job, made: str | None) -> None:
        if made is None:
            return
        state, result = self._note(lambda: self.leases.disown(self.claim.job_id, made))
        if state in ("succeeded", "failed", "cancelled"):
            kept = {str(value) for value in (result or {}).values()}
            self._remove(request, [] if made in kept else [made])

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
        message=f"{claim.losses} workers in a row died while they ran this job.",
        hint="Look for out-of-memory kills or crashes in the workers' logs, then retry the job.",
        act="operator",
        attempts=claim.attempt,
    )
