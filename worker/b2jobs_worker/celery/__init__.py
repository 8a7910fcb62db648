"""All that knows Celery: the app, its tasks, what messages mean, how they are taken.

Delivery, which decides what becomes of a job, is called from here and knows nothing of it.
"""
