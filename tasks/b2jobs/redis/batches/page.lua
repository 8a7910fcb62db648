#!lua flags=allow-oom
-- Hand a page to whoever reads the job's, and note how far it is, in one step: a worker that dies
-- leaves no page that its successor makes again, and none that nobody makes.
-- Arguments: id, fence, number, most (pages that may wait), keep (seconds), notes: {name: text}.
-- Bytes: the page.
-- Answer: fed, lost where it is not ours any more, else for how many seconds there was no room.
-- Full Redis: allows it: the job was accepted, and few pages may wait.
-- include shared/batch
local id = given.id
if not owns(id, given.fence) then return 'lost' end
local journal = P .. 'journal:' .. id
if tonumber(redis.call('HGET', journal, 'pages') or 0) > given.number then return 'fed' end
if hand_over(id, given.number, ARGV[2], given.most) == 'full' then
  redis.call('HSETNX', journal, 'full_since', seconds(NOW))
  return seconds(NOW - tonumber(redis.call('HGET', journal, 'full_since')))
end
redis.call('EXPIRE', batch_key(id) .. ':feed', given.keep)
redis.call('HDEL', journal, 'full_since')
redis.call('HSET', journal, 'pages', given.number + 1)
for name, text in pairs(given.notes) do redis.call('HSET', journal, name, text) end
redis.call('HSET', job_key(id), 'lost', 0)
return 'fed'
