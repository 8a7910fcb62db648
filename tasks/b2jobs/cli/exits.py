"""How a command ends: exit codes, and errors as one sentence, a hint and a code.

0    done
1    the job failed
2    wrong usage
3    the queue cannot be reached
4    waited too long; the job goes on
5    the job was cancelled
70   a bug in b2jobs
130  interrupted
"""

from __future__ import annotations

import click

from b2jobs.errors import (
    B2JobsError,
    InvalidJob,
    JobCancelled,
    JobFailed,
    JobNotFound,
    QueueUnavailable,
    WaitTimeout,
    WordNotFound,
)
from b2jobs.printable import printable

DONE = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
TIMED_OUT = 4
CANCELLED = 5
BUG = 70
INTERRUPTED = 130

_CODES: dict[type[B2JobsError], int] = {
    JobFailed: FAILED,
    InvalidJob: USAGE,
    JobNotFound: USAGE,
    WordNotFound: USAGE,
    QueueUnavailable: UNREACHABLE,
    WaitTimeout: TIMED_OUT,
    JobCancelled: CANCELLED,
}


class CommandFailed(B2JobsError):
    """A command could not do its part, for a reason that is no job's: a missing extra, a port."""

    def __init__(self, message: str, *, code: str, hint: str = "", exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.exit_code = exit_code


def code_of(error: B2JobsError) -> int:
    """The exit code of *error*."""
    if isinstance(error, CommandFailed):
        return error.exit_code
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    return FAILED


def sentence(error: B2JobsError) -> str:
    """*error* as it is shown: what happened, what to do, and its code in brackets."""
    from b2jobs.cli.wording import (
        for_command_line,
    )  # knows all requests, which --help does not need

    if isinstance(error, JobFailed):
        return for_command_line(str(error.failure))
    hint = f" {error.hint}" if error.hint else ""
    said = f"{error}{hint} [{error.code}]"
    # What a schedule runs is given as ARGUMENT=VALUE, with Python's names.
    return said if error.code == "invalid_schedule" else for_command_line(said)


def complain(text: str) -> None:
    """Say what went wrong, on stderr."""
    click.echo(f"Error: {printable(text)}", err=True)
