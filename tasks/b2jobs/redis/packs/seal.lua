#!lua flags=allow-oom
-- The pack's end and its place in the ledger, in one step; nothing else of it remains.
-- Arguments: pack, fence, batch, number. Bytes: the segment.
-- Answer: `sealed` and the strays of outdated owners, or `lost`.
-- Full Redis: allows it, since it frees memory.
-- include shared/batch
local pack, batch = given.pack, given.batch
if not owns(pack, given.fence) then return {'lost', {}} end
local key = batch_key(batch)
local strays = take_strays(pack)
if redis.call('EXISTS', key) == 1 then
  redis.call('HSET', key .. ':ledger', given.number, ARGV[2])
  redis.call('HINCRBY', key, 'ledger_bytes', #ARGV[2])
end
forget_pack(batch, pack)
local low = tonumber(redis.call('HGET', key, 'low') or 0)
if redis.call('ZCARD', key .. ':packs') <= low then wake(batch, 'window') end
return {'sealed', strays}
