#!lua flags=allow-oom
-- Drop what a producer staged and has not submitted; a job's bytes stay.
-- Arguments: id.
-- Full Redis: allows it, since it frees memory.
-- include shared/job
drop_unclaimed(given.id)
