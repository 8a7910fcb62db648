#!lua flags=allow-oom
-- Ring for all packs of a batch that wait, so that they learn of a cancellation.
-- Arguments: id.
-- Full Redis: allows it.
-- include shared/batch
wake_packs(given.id)
