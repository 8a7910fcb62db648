#!lua flags=allow-oom
-- Write into the batch's hash.
-- Arguments: id, fence, fields: {name: text}, and what was spent: calls: {a, b, c}, dollars (text).
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it: a batch that was accepted comes to its end.
-- include shared/batch
if not owns(given.id, given.fence) then return 0 end
for name, text in pairs(given.fields) do redis.call('HSET', batch_key(given.id), name, text) end
add_cost(given.id, given.calls or {}, given.dollars or '0')
return 1
