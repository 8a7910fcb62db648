"""What the operating system said about a file, as an error of b2jobs: who must act, and how.

source                                  destination
source_missing         caller           destination_missing      caller
source_is_directory    caller           destination_is_directory caller
source_not_a_file      caller           destination_not_a_file   caller
source_unreadable      operator         destination_unwritable   operator
source_read_failed     nobody           disk_full                operator, tried again
too_many_open_files    operator, tried again
                                        destination_write_failed nobody
"""

from __future__ import annotations

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path

from b2jobs.errors import CallerError, JobError, OperatorError, PassingError, Wait
from b2jobs_worker.sources.port import Problem, Source, is_digested

DISK_FULL_WAIT_SECONDS = 60.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
_NO_SUCH_NAME = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ELOOP}


def source_error(error: OSError, uri: str) -> JobError:
    """The error of b2jobs for *error*, met while reading *uri*."""
    reason = error.strerror or str(error)
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return source_missing(uri)
        case errno.EISDIR:
            return source_is_directory(uri)
        case errno.ENXIO | errno.ENODEV:
            return source_not_a_file(uri)
        case number if number in _NO_SUCH_NAME:
            return CallerError(
                "source_missing", f"{uri} does not exist: {reason}.", hint="Check the path."
            )
        case number if number in _DENIED:
            return OperatorError(
                "source_unreadable",
                f"The worker must not read {uri}: {reason}.",
                hint="Give the worker's user the right to read it and to enter its folders.",
            )
        case number if number in _NO_DESCRIPTORS:
            return _too_many_open_files(uri, reason)
        case _:
            return PassingError("source_read_failed", f"Reading {uri} failed: {reason}.")


def destination_error(error: OSError, uri: str) -> JobError:
    """The error of b2jobs for *error*, met while writing *uri*."""
    reason = error.strerror or str(error)
    match error.errno:
        case errno.EISDIR:
            return destination_is_directory(uri)
        case errno.ENOTDIR | errno.EEXIST:
            return CallerError(
                "destination_missing",
                f"{uri} cannot be made: a part of its path is a file.",
                hint="Choose another destination, or remove or rename that file.",
            )
        case errno.ENOENT:
            return CallerError("destination_missing", f"{uri} cannot be made: {reason}.")
        case number if number in _NO_SUCH_NAME:
            return CallerError(
                "destination_name_refused",
                f"The file system refuses the name of {uri}: {reason}.",
                hint="Choose a shorter or simpler name.",
            )
        case number if number in _DENIED:
            return OperatorError(
                "destination_unwritable",
                f"The worker must not write {uri}: {reason}.",
                hint="Give the worker's user the right to write in that folder.",
            )
        case number if number in _FULL:
            return disk_full(uri, f"{reason}")
        case errno.EFBIG:
            return OperatorError(
                "destination_unwritable",
                f"{uri} would be larger than its file system or limit allows.",
                hint="Use another root, or raise the worker's file size limit.",
            )
        case number if number in _NO_DESCRIPTORS:
            return _too_many_open_files(uri, reason)
        case _:
            return PassingError("destination_write_failed", f"Writing {uri} failed: {reason}.")


def millis(moment: datetime) -> int:
    """*moment* in milliseconds since 1970, before it negative."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def source_missing(uri: str) -> CallerError:
    return CallerError(
        "source_missing", f"{uri} does not exist.", hint="Check the path; case matters."
    )


def source_is_directory(uri: str) -> CallerError:
    return CallerError(
        "source_is_directory",
        f"{uri} is a directory.",
        hint="Name one file, or use a batch or a sync for a whole folder.",
    )


def source_not_a_file(uri: str) -> CallerError:
    return CallerError(
        "source_not_a_file",
        f"{uri} is not a regular file.",
        hint="Pipes, sockets and devices cannot be uploaded; write a file first.",
    )


def check_digest(source: Source, sha1: str) -> None:
    """Refuse to store bytes with this SHA-1 as *source* where they must have another.

    Raises:
        JobError: as the source has it, such as `staged_damaged`.
    """
    if is_digested(source) and source.sha1 not in (None, sha1):
        raise source.differs(sha1)


def source_changed(uri: str) -> PassingError:
    """The transfer starts anew: what was sent so far belongs to other bytes."""
    return PassingError(
        "source_changed",
        f"{uri} changed while it was read.",
        hint="It is read anew. Upload files only once they are complete.",
    )


def source_is_prefix(uri: str) -> CallerError:
    return CallerError(
        "source_is_directory",
        f"{uri} is a prefix, and no object is named so.",
        hint="Name one object, or use a batch or a sync for a whole prefix.",
    )


def store_misconfigured(uri: str, reason: str = "") -> OperatorError:
    return OperatorError(
        "store_misconfigured",
        f"{uri} cannot be read with this configuration{reason and ': '}{reason}.",
        hint='Check its entry under "stores" in the secrets file.',
    )


def no_certificates(ca_file: Path, error: Exception) -> OperatorError:
    return OperatorError(
        "config_invalid",
        f"The file {ca_file} holds no certificates: {error}.",
        hint="Correct the setting ca_file.",
    )


def source_forbidden(uri: str, said: str) -> OperatorError:
    return OperatorError(
        "source_forbidden",
        f"The store refuses to show {uri}: {said}.",
        hint='Check the key\'s rights and its entry under "stores" in the secrets file.',
    )


def clock_wrong(uri: str, said: str) -> OperatorError:
    return OperatorError(
        "store_clock_wrong",
        f"The store of {uri} does not accept the worker's time: {said}.",
        hint="Set the clock of the worker's machine, such as by NTP.",
    )


def tls_untrusted(uri: str) -> OperatorError:
    return OperatorError(
        "tls_untrusted",
        f"The certificate of the store of {uri} is not trusted.",
        hint="If it is right, give its authority to the worker with the setting ca_file.",
    )


def destination_is_directory(uri: str) -> CallerError:
    return CallerError(
        "destination_is_directory",
        f"{uri} is a folder, so it cannot be written as a file.",
        hint="Name a file in it, or remove or rename the folder.",
    )


def destination_is_link(uri: str, name: str) -> CallerError:
    return CallerError(
        "destination_is_link",
        f"{uri} leads through the symbolic link {name!r}; nothing is written or removed through "
        "links.",
        hint="Name the folder that the link leads to, or put a folder in the link's place.",
    )


def destination_changed(uri: str) -> CallerError:
    """Not tried again: nobody has compared what is there now."""
    return CallerError(
        "destination_changed",
        f"{uri} has changed since it was compared; it stays.",
        hint="The next sync compares it anew.",
    )


def destination_not_a_file(uri: str) -> CallerError:
    return CallerError(
        "destination_not_a_file",
        f"{uri} is there and is not a regular file.",
        hint="Choose another destination.",
    )


def disk_full(uri: str, reason: str) -> OperatorError:
    return OperatorError(
        "disk_full",
        f"There is no room for {uri}: {reason}.",
        hint="Free some space or raise the quota; the job then goes on by itself.",
        wait=Wait("backoff", DISK_FULL_WAIT_SECONDS),
    )


def outside_root(uri: str, root: str) -> CallerError:
    return CallerError(
        "outside_root",
        f"{uri} leads out of the root {root!r}.",
        hint="Name a path that stays inside; symbolic links that leave a root are not followed.",
    )


def folder_with_content(name: str, uri: str) -> Problem:
    return Problem(
        name,
        "source_name_unsupported",
        f"{uri}: the object {name!r} ends in '/' and has content; B2 has no such names.",
    )


def _too_many_open_files(uri: str, reason: str) -> OperatorError:
    return OperatorError(
        "too_many_open_files",
        f"{uri} cannot be opened: {reason}.",
        hint="Raise the worker's limit of open files (ulimit -n) or lower its slots.",
        wait=Wait(),
    )


def names_unsupported(uri: str) -> CallerError:
    return CallerError(
        "names_unsupported",
        f"The names of {uri} cannot be written another way: it is no local folder.",
        hint="Leave names at 'report': what B2 refuses is told, and a manifest names it anew.",
    )
