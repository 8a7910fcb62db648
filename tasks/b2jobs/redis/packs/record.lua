#!lua flags=allow-oom
-- Outcomes of a pack's items. One that is there already is neither written nor counted again;
-- a status `again` is a note, not an outcome.
-- Arguments: pack, fence, batch, calls: {a, b, c}, dollars (text), outcomes: [[position, line,
--   status, code, moved bytes as text, action]].
-- Answer: how the batch stands (ok, paused, cancel), or `lost`.
-- Full Redis: allows it.
-- include shared/batch
local pack = given.pack
if not owns(pack, given.fence) then return 'lost' end
local outcomes, key = P .. 'outcomes:' .. pack, batch_key(given.batch)
local counts, items = {}, {}
local function add(to, name) to[name] = (to[name] or 0) + 1 end
for _, outcome in ipairs(given.outcomes) do
  local position, line, status, code, moved, action = unpack(outcome)
  if status == 'again' then
    redis.call('HSET', outcomes, 't' .. position, line)
  elseif redis.call('HSETNX', outcomes, position, line) == 1 then
    redis.call('HDEL', outcomes, 't' .. position)
    add(counts, 'n:' .. status)
    if code ~= '' then add(counts, 'code:' .. code) end
    add(items, table.concat({'item', action or '', status, code}, '|'))
    if moved ~= '0' then redis.call('HINCRBY', key, 'moved_bytes', moved) end
  end
end
for name, amount in pairs(counts) do redis.call('HINCRBY', key, name, amount) end
for name, amount in pairs(items) do count(name, amount) end
if next(counts) then redis.call('HSET', job_key(pack), 'lost', 0) end
add_cost(given.batch, given.calls, given.dollars)
if next(counts) then tell_progress(given.batch) end
return standing(given.batch)
