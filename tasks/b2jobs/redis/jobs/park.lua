#!lua flags=allow-oom
-- Let a job wait; the keeper rings when it is due.
-- Arguments: id, fence, reason, delay (seconds), failure (JSON).
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it.
-- include shared/job
local id = given.id
if not owns(id, given.fence) then return 0 end
let_go(id)
wait(id, given.reason, given.delay)
redis.call('HSET', job_key(id), 'failure', given.failure)
-- The time in which failures are tried again stands still meanwhile.
if given.reason == 'budget' then redis.call('HINCRBYFLOAT', job_key(id), 'excused', given.delay) end
local told = {reason = given.reason, code = code_of(given.failure), ['until'] = field(id, 'until')}
local kind = field(id, 'kind')
count(table.concat({'again', given.reason, told.code or ''}, '|'), 1)
local batch = kind == 'pack' and string.match(id, '^(.+)%.p%d+$')
if not batch then event(id, kind, 'waiting', told)
elseif may_tell(batch, 'waiting') then event(batch, field(batch, 'kind'), 'waiting', told) end
return 1
