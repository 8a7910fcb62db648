#!lua flags=allow-oom
-- What became of the positions at which an outdated owner made something.
-- Arguments: pack, made: [[position, what]].
-- Answer: for each the outcome that counts, `left` when the present owner will see to it, or
--   `sealed`.
-- Full Redis: allows it.
-- include shared/batch
local answers = {}
local lives = redis.call('EXISTS', job_key(given.pack)) == 1
for _, made in ipairs(given.made) do
  local line = redis.call('HGET', P .. 'outcomes:' .. given.pack, made[1])
  if not line and lives then add_stray(given.pack, made[1] .. ' ' .. made[2]) end
  table.insert(answers, line or (lives and 'left' or 'sealed'))
end
return answers
