#!lua flags=allow-oom
-- Drop what is staged and has *owner*, or no job yet; what is another's stays.
-- Arguments: id; owner.
-- Full Redis: allows it, since it frees memory.
-- include shared/job
if redis.call('HGET', staged_key(given.id), 'job') == (given.owner or '') then drop_staged(given.id) end
