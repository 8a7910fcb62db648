"""Handlers: one thin Celery task for each kind of job, and the work behind it."""
