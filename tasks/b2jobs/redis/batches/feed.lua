#!lua
-- Hand a chunk of items to a job.
-- Arguments: id, number, most (chunks that may wait). Bytes: the chunk.
-- Answer: fed, full, or the state of a job that takes nothing any more, `unknown` for none.
-- Full Redis: refuses it; the producer tries again.
-- include shared/batch
local state = field(given.id, 'state')
if not is_open(state) then return state == '' and 'unknown' or state end
local key = batch_key(given.id)
if redis.call('HLEN', key .. ':feed') >= given.most then return 'full' end
redis.call('HSET', key .. ':feed', given.number, ARGV[2])
redis.call('HSET', key, 'fed_at', seconds(NOW))
wake(given.id, 'window')
return 'fed'
