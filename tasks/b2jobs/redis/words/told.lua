#!lua flags=allow-oom
-- The word is told: nothing of it remains. What it is told by in this Redis goes out in the same
-- step, so that a word that is delivered a second time sends nothing twice.
-- Arguments: word, lane, lists (keys behind the prefix). Bytes: a message for each of *lists*.
-- Answer: 1; 0 where somebody else told it; or the first of *lists* that is no list.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
if redis.call('EXISTS', word_key(given.word)) == 0 then return 0 end
for _, list in ipairs(given.lists) do
  local kind = redis.call('TYPE', ROOT .. list).ok
  if kind ~= 'list' and kind ~= 'none' then return list end
end
for at, list in ipairs(given.lists) do redis.call('LPUSH', ROOT .. list, ARGV[1 + at]) end
redis.call('UNLINK', word_key(given.word))
redis.call('ZREM', lane_key(given.lane), given.word)
redis.call('ZREM', P .. 'undelivered', given.word)
redis.call('HDEL', P .. 'silences', given.lane)
return 1
