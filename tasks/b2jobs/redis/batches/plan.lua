#!lua flags=allow-oom
-- One step of the plan: new packs, the cursor behind them, and packs that are closed or
-- segments that are rewritten on the way.
-- Arguments: id, fence, fields: {name: text}, counts: {name: amount as text}, segments:
--   [number], closed: [pack], packs: [{number, id, job: {kind, priority, request, retry}}].
--   Bytes: of each segment (empty: none left), then the items of each pack.
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it: a batch that was accepted comes to its end, and only so many packs
--   are under way.
-- include shared/batch
local id = given.id
if not owns(id, given.fence) then return 0 end
local key = batch_key(id)
for name, text in pairs(given.fields) do redis.call('HSET', key, name, text) end
for name, amount in pairs(given.counts) do redis.call('HINCRBY', key, name, amount) end
for n, number in ipairs(given.segments) do
  local segment = ARGV[1 + n]
  if segment == '' then redis.call('HDEL', key .. ':ledger', number)
  else redis.call('HSET', key .. ':ledger', number, segment) end
end
for _, pack in ipairs(given.closed) do forget_pack(id, pack) end
for n, pack in ipairs(given.packs) do
  redis.call('SET', P .. 'pack:' .. pack.id, ARGV[1 + #given.segments + n])
  create_queued(pack.id, pack.job)
  redis.call('ZADD', key .. ':packs', pack.number, pack.id)
end
redis.call('HSET', job_key(id), 'lost', 0)
return 1
