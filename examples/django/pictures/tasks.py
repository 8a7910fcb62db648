"""What Celery runs for this site: `celery -A pictures.tasks worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from django.core.mail import send_mail

app = Celery("pictures", broker=os.environ.get("B2JOBS_REDIS_URL"), set_as_current=False)


@app.task(name="pictures.tasks.stored")
def stored(*, email: str, job: str, state: str, failure: dict[str, Any] | None, **_: Any) -> None:
    """Mail what became of an upload. Told twice, it mails twice: a real site would note `job`."""
    text = "It is stored." if state == "succeeded" else f"It is not: {failure or state}"
    send_mail("Your picture", f"{text}\n\n/pictures/{job}/", None, [email])
