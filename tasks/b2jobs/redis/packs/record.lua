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
local counts, items, moved_bytes = {}, {}, 0
local function add(to, name) to[name] = (to[name] or 0) + 1 end

-- Some of them: three commands for all, whatever their number. Lua hands over 8,000 values at most.
local function write(some)
  local positions, fields, notes = {}, {}, {}
  for n, outcome in ipairs(some) do positions[n] = outcome[1] end
  local found = redis.call('HMGET', outcomes, unpack(positions))
  local is_new = {}
  for n, outcome in ipairs(some) do
    local position, line, status, code, moved, action = unpack(outcome)
    if status == 'again' then
      table.insert(fields, 't' .. position)
      table.insert(fields, line)
    elseif not found[n] and not is_new[position] then
      is_new[position] = true
      table.insert(fields, position)
      table.insert(fields, line)
      table.insert(notes, 't' .. position)
      add(counts, 'n:' .. status)
      if code ~= '' then add(counts, 'code:' .. code) end
      add(items, table.concat({'item', action or '', status, code}, '|'))
      if #moved < 15 then
        moved_bytes = moved_bytes + tonumber(moved)
      else  -- Lua's numbers have 53 bits
        redis.call('HINCRBY', key, 'moved_bytes', moved)
      end
    end
  end
  if #notes > 0 then redis.call('HDEL', outcomes, unpack(notes)) end
  if #fields > 0 then redis.call('HSET', outcomes, unpack(fields)) end
end

local AT_ONCE = 1000
for first = 1, #given.outcomes, AT_ONCE do
  write({unpack(given.outcomes, first, math.min(first + AT_ONCE - 1, #given.outcomes))})
end
if moved_bytes > 0 then
  redis.call('HINCRBY', key, 'moved_bytes', string.format('%.0f', moved_bytes))
end
for name, amount in pairs(counts) do redis.call('HINCRBY', key, name, amount) end
for name, amount in pairs(items) do count(name, amount) end
if next(counts) then redis.call('HSET', job_key(pack), 'lost', 0) end
add_cost(given.batch, given.calls, given.dollars)
if next(counts) then tell_progress(given.batch) end
return standing(given.batch)
