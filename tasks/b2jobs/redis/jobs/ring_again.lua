#!lua flags=allow-oom
-- Pass on a doorbell that was taken but not answered, since the worker is stopping.
-- Arguments: id.
-- Answer: 1, or 0 where the job is not queued.
-- Full Redis: allows it.
-- include shared/job
if field(given.id, 'state') ~= 'queued' then return 0 end
enqueue(given.id, true)
return 1
