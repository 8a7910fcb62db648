#!lua flags=allow-oom
-- Keep a job that has not started from ever starting; ask a running one to stop.
-- Arguments: id, failure (JSON), meta; by (who says so, sealed: b2jobs/commands.py).
-- Answer: the state after the call, empty where there is no such job.
-- Full Redis: allows it, since it frees memory.
-- include shared/job
local id = given.id
local state = field(id, 'state')
if not is_open(state) then return state end
if state ~= 'running' and tonumber(field(id, 'attempts')) == 0 then
  finish(id, 'cancelled', given)
  return 'cancelled'
end
-- An attempt may have left something unfinished: a worker removes it, then the job ends.
redis.call('HSET', job_key(id), 'cancel', '1', 'cancel_by', given.by or '')
event(id, field(id, 'kind'), 'cancelling')
if state == 'waiting' then enqueue(id, true) end
return field(id, 'state')
