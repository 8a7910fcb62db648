"""The outbox's delivery as a part of a Celery worker."""

from __future__ import annotations

import threading
from typing import Any

from celery import bootsteps

from b2jobs_worker.celery.telling import Teller
from b2jobs_worker.delivery.outbox import Outbox
from b2jobs_worker.delivery.webhooks import Webhooks
from b2jobs_worker.resources import resources
from b2jobs_worker.secrets import secrets_file
from b2jobs_worker.settings import current


class OutboxStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery publishes no types
    """Delivers words beside the worker, in threads of its own."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._outbox: Outbox | None = None

    def start(self, parent: Any) -> None:
        del parent
        settings = current()
        teller = Teller(settings, resources().records)
        webhooks = Webhooks(settings, secrets_file(settings.secrets_file))
        senders = {"task": teller.task, "url": webhooks.tell, "canvas": teller.canvas}
        self._outbox = Outbox(settings, senders)
        threading.Thread(target=self._outbox.serve, name="b2jobs-outbox", daemon=True).start()

    def stop(self, parent: Any) -> None:
        del parent
        if self._outbox is not None:
            self._outbox.stop()

    def terminate(self, parent: Any) -> None:
        self.stop(parent)
