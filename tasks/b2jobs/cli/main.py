"""`b2jobs`: the table of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from b2jobs.cli import exits, extras
from b2jobs.cli.group import LazyGroup, OutputClosed
from b2jobs.cli.session import common_options
from b2jobs.errors import B2JobsError

COMMANDS = {
    "Transfers": {
        "upload": "b2jobs.cli.transfer:upload",
        "download": "b2jobs.cli.transfer:download",
        "copy": "b2jobs.cli.transfer:copy",
        "move": "b2jobs.cli.transfer:move",
        "delete": "b2jobs.cli.delete:delete",
        "hide": "b2jobs.cli.change:hide",
        "unhide": "b2jobs.cli.change:unhide",
        "retention": "b2jobs.cli.change:retention",
        "hold": "b2jobs.cli.change:hold",
        "sync": "b2jobs.cli.sync:sync",
        "ls": "b2jobs.cli.look:ls",
        "du": "b2jobs.cli.look:du",
        "share": "b2jobs.cli.share:share",
    },
    "Follow and steer": {
        "status": "b2jobs.cli.status:status",
        "job": "b2jobs.cli.job:job",
        "events": "b2jobs.cli.events:events",
        "batch": "b2jobs.cli.batch:batch",
        "schedule": "b2jobs.cli.schedule:schedule",
        "words": "b2jobs.cli.words:words",
        "limits": "b2jobs.cli.limits:limits",
    },
    "Accounts and buckets": {
        "bucket": "b2jobs.cli.bucket:bucket",
        "check": "b2jobs.cli.check:check",
        "keys": "b2jobs.cli.keys:keys",
    },
    "Run": {
        "worker": "b2jobs.cli.worker:worker",
        "console": "b2jobs.cli.console:console",
        "up": "b2jobs.cli.up:up",
        "demo": "b2jobs.cli.demo:demo",
        "emulator": "b2jobs.cli.emulator:emulator",
        "docs": "b2jobs.cli.docs:docs",
        "completion": "b2jobs.cli.completion:completion",
    },
}


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"max_content_width": 100})
@click.version_option(package_name="b2jobs", prog_name="b2jobs")
@click.option(
    "--traceback", is_flag=True, help="On a bug in b2jobs, show where it is, to report it."
)
@common_options
def cli(traceback: bool) -> None:
    """Move files into and out of Backblaze B2 as durable background jobs.

    A command queues a job in Redis and prints its id; workers do the transfer. With --wait it
    follows the job and prints the result.

    \b
    Locations:
      b2://BUCKET/NAME       a file; with a trailing / everything below it
      b2id://FILEID          one version of a file
      data://ROOT/path       a root that the workers' config file names
      https://host/path      a public host
      s3://BUCKET/KEY        another store; also gs:// and azure://
      data:;base64,...       the bytes themselves

    \b
    Exit: 0 done, 1 the job failed, 2 wrong usage, 3 the queue cannot be reached,
    4 waited too long, 5 the job was cancelled, 130 interrupted.

    Try it: `b2jobs demo`.
    """
    del traceback


_OBJECTS = 100_000
"""How many are made before the collector looks for cycles: while modules are loaded there are few,
and looking for them took an eighth of a command's time."""


def _one_sentence(error: click.UsageError) -> str:
    """What Click says, which for choices takes several lines, on one line with one full stop."""
    said = " ".join(error.format_message().split()).rstrip(".")
    return said if said.endswith("?") else f"{said}."


def main() -> NoReturn:
    """Run the command line and exit. A failure is a sentence and a code, never a traceback."""
    status: int | str | None = exits.DONE
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS)
    try:
        try:
            status = _run(sys.argv[1:])
        except SystemExit as ended:
            status = ended.code
        except extras.Becoming as other:
            status = _go_on(other, before)
        sys.stdout.flush()
    except (OutputClosed, BrokenPipeError):
        # Keep the interpreter from flushing again, and from saying so.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
    gc.freeze()  # or else Python looks through all of it several times while it ends
    sys.exit(status)


def _go_on(other: extras.Becoming, threshold: tuple[int, int, int]) -> int:
    try:
        program = other.load()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    gc.set_threshold(*threshold)
    return program(other.arguments)


def _run(arguments: list[str]) -> int:
    try:
        status = cli.main(arguments, prog_name="b2jobs", standalone_mode=False)
        return status if isinstance(status, int) else exits.DONE
    except NoArgsIsHelpError as error:
        error.show()
        return exits.USAGE
    except click.UsageError as error:
        place = error.ctx.command_path if error.ctx else "b2jobs"
        exits.complain(f"{_one_sentence(error)} Try `{place} --help`. [usage]")
        return exits.USAGE
    except click.ClickException as error:
        exits.complain(f"{error.format_message()} [usage]")
        return exits.USAGE
    except B2JobsError as error:
        exits.complain(exits.sentence(error))
        return exits.code_of(error)
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except (OutputClosed, BrokenPipeError):
        raise
    except Exception as error:
        if "--traceback" in arguments:
            raise
        exits.complain(
            f"A bug in b2jobs: {type(error).__name__}: {error}. "
            "Run `b2jobs --traceback ...` and report what it shows. [internal_error]"
        )
        return exits.BUG
