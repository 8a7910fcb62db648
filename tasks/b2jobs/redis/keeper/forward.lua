#!lua flags=allow-oom
-- Move the b2jobs messages of another application's queue into ours; leave the others where
-- they are. kombu keeps a list for each priority step, named by a separator and the step.
-- Arguments: queue, most (messages to look at, at each end of each list).
-- Answer: how many were moved.
-- Full Redis: allows it: each is removed before it is added.
-- include shared/job
local function is_ours(message)
  if not string.find(message, 'b2jobs.', 1, true) then return false end
  local headers = headers_of(message)
  return headers and type(headers.task) == 'string'
    and string.find(headers.task, '^b2jobs%.[%a_]+$') ~= nil
end

-- *from*: 1 is the front of the list, -1 its end. LREM begins there, so it finds at once.
local function move_some(source, target, first, last, from)
  local moved = 0
  local part = redis.pcall('LRANGE', source, first, last)
  if part.err then return 0 end  -- somebody else's key of another type
  for i = #part, 1, -1 do
    if is_ours(part[i]) and redis.call('LREM', source, from, part[i]) > 0 then
      redis.call('LPUSH', target, part[i])
      moved = moved + 1
    end
  end
  return moved
end

local moved = 0
local function move_all(suffix, step)
  local source = ROOT .. given.queue .. suffix
  -- Ours has kombu's own steps 0, 3, 6 and 9.
  step = step - step % 3
  local target = ROOT .. QUEUES.normal .. (step == 0 and '' or '\6\22' .. step)
  moved = moved + move_some(source, target, -given.most, -1, -1)
  moved = moved + move_some(source, target, 0, given.most - 1, 1)
end

move_all('', 0)
for step = 1, 9 do
  move_all('\6\22' .. step, step)
  move_all(':' .. step, step)
end
return moved
