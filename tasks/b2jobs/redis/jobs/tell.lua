#!lua flags=allow-oom
-- Store a result for whoever asks Celery.
-- Arguments: id, meta (a JSON object without the task's id), keep (seconds).
-- Full Redis: allows it, since it ends what somebody waits for.
-- include shared/job
tell(given.id, given.meta, given.keep)
