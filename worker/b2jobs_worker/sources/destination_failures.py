"""What a store says while it is written to, as an error of b2jobs: the same faults as when it is
read, by the name of the other end."""

from __future__ import annotations

from b2jobs.errors import CallerError, JobError, OperatorError, PassingError
from b2jobs_worker.sources import failures

_HINT = 'Check the key\'s rights and its entry under "stores" in the secrets file.'


def writing(error: JobError, uri: str) -> JobError:
    """*error* of a request that was to write *uri*, whose words speak of reading."""
    said = error.message.rpartition(": ")[2].rstrip(".") if ": " in error.message else ""
    why = f": {said}" if said else ""
    match error.code:
        case "source_missing":
            return CallerError(
                "destination_missing",
                f"There is no bucket or container for {uri}.",
                hint="Make it first, or check its name and the endpoint and region of its entry.",
            )
        case "source_forbidden":
            return OperatorError(
                "destination_forbidden",
                f"The store does not let {uri} be written{why}.",
                hint=_HINT,
            )
        case "source_refused":
            return CallerError(
                "destination_refused", f"The store does not take {uri}{why}.", hint=error.hint
            )
        case "source_encrypted":
            return OperatorError(
                "destination_encrypted",
                f"{uri} would be encrypted with a key that the store does not use for this "
                f"worker{why}.",
                hint="Let the worker's key use it in the store's key management.",
            )
        case "source_busy":
            return PassingError(
                "destination_busy", f"The store of {uri} asks to come later.", wait=error.wait
            )
        case "source_unavailable":
            return PassingError(
                "destination_unavailable", f"The store of {uri} fails{why}.", wait=error.wait
            )
        case "source_unreachable" | "source_interrupted":
            return PassingError(
                "destination_unreachable", f"The store of {uri} cannot be reached, or broke off."
            )
        case "source_changed":
            return failures.destination_changed(uri)
        case _:
            return error


def upload_gone(uri: str) -> PassingError:
    return PassingError(
        "destination_upload_gone",
        f"The parts of {uri} that were written are gone from the store.",
        hint="They are sent anew. Look for a lifecycle rule that removes unfinished uploads early, "
        "or for another writer of that object.",
    )


def damaged(uri: str) -> PassingError:
    return PassingError(
        "destination_damaged",
        f"{uri} in the store is not what was sent.",
        hint="It is written anew.",
    )


def too_large(uri: str, size: int, most: int) -> CallerError:
    return CallerError(
        "destination_too_large",
        f"{uri} would have {size} bytes; the store takes {most}.",
        hint="Download a range of it at a time, or choose another destination.",
    )
