"""A Celery app whose listings have small pages, few of which may wait: for tests of what readers
take from workers."""

from __future__ import annotations

from b2jobs_worker.batch.proof.read_ledger import ReadLedgerWork
from b2jobs_worker.celery.app import make_app
from b2jobs_worker.celery.task import register
from b2jobs_worker.looking.listing import ListWork
from b2jobs_worker.resources import context, store
from b2jobs_worker.settings import current

PAGE = 20
MOST_PAGES = 2
SILENCE_SECONDS = 4.0

app = make_app(current())
app.main = __name__
app.conf.include = []
work = ListWork(context, store, page=PAGE, most_pages=MOST_PAGES, silence_seconds=SILENCE_SECONDS)
register(app, {"list": work, "ledger": ReadLedgerWork(context, store)})
