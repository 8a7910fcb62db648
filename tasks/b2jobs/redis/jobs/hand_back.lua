#!lua flags=allow-oom
-- Queue a job again, in front: another worker goes on at once.
-- Arguments: id, fence, losses (of a job that was not tried, which stay known).
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it.
-- include shared/job
if not owns(given.id, given.fence) then return 0 end
let_go(given.id)
redis.call('HSET', job_key(given.id), 'lost', given.losses or 0)
event(given.id, field(given.id, 'kind'), 'handed_back')
enqueue(given.id, true)
return 1
