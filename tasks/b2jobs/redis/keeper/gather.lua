#!lua flags=allow-oom
-- Move what lies beside our queues into them: an application whose Celery has other priority
-- steps, or another separator, puts messages for them into lists that no worker of ours reads.
-- Arguments: most.
-- Answer: how many were moved.
-- Full Redis: allows it: each is removed as it is added.
-- include shared/job
local moved = 0
local function drain(queue, suffix)
  while moved < given.most do
    local message = redis.pcall('RPOPLPUSH', ROOT .. queue .. suffix, ROOT .. queue)
    if not message or message.err then return end  -- empty, or somebody's key of another type
    moved = moved + 1
  end
end

for _, queue in pairs(QUEUES) do
  for step = 1, 9 do
    drain(queue, ':' .. step)
    if step % 3 ~= 0 then drain(queue, '\6\22' .. step) end
  end
end
return moved
