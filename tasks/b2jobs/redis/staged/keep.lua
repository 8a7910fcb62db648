#!lua flags=allow-oom
-- Make what a worker has staged a batch's: it lies there until the batch has ended, and then as long
-- as the workers' settings say.
-- Arguments: id, owner.
-- Full Redis: allows it, since the bytes are written.
-- include shared/job
if redis.call('HGET', staged_key(given.id), 'job') == '' then keep_for(given.owner, given.id) end
