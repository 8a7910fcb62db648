#!lua flags=allow-oom
-- All chunks have been handed over.
-- Arguments: id, number (how many there were).
-- Answer: fed, or the state of a job that takes nothing any more, `unknown` for none.
-- Full Redis: allows it, else the job would wait for more.
-- include shared/batch
local state = field(given.id, 'state')
if not is_open(state) then return state == '' and 'unknown' or state end
redis.call('HSET', batch_key(given.id), 'fed_all', given.number, 'fed_at', seconds(NOW))
wake(given.id, 'window')
return 'fed'
