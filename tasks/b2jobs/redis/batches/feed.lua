#!lua
-- Hand a chunk of items to a job.
-- Arguments: id, number, most (chunks that may wait). Bytes: the chunk.
-- Answer: fed, full, or the state of a job that takes nothing any more, `unknown` for none.
-- Full Redis: refuses it; the producer tries again.
-- include shared/batch
local state = field(given.id, 'state')
if not is_open(state) then return state == '' and 'unknown' or state end
local said = hand_over(given.id, given.number, ARGV[2], given.most)
if said == 'fed' then
  redis.call('HSET', batch_key(given.id), 'fed_at', seconds(NOW))
  wake(given.id, 'window')
end
return said
