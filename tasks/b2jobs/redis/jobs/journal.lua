#!lua flags=allow-oom
-- Note what of a large transfer is done. A job that gets on is not what kills its worker.
-- Arguments: id, fence, fields: {name: text}; without fields the journal is cleared.
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it.
-- include shared/job
local id = given.id
if not owns(id, given.fence) then return 0 end
if not given.fields then
  redis.call('UNLINK', P .. 'journal:' .. id)
  return 1
end
for name, text in pairs(given.fields) do redis.call('HSET', P .. 'journal:' .. id, name, text) end
redis.call('HSET', job_key(id), 'lost', 0)
return 1
