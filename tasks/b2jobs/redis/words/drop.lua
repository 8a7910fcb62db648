#!lua flags=allow-oom
-- Tell a word to nobody.
-- Arguments: word.
-- Answer: 1, or 0 where there is no such word.
-- Full Redis: allows it, since it frees memory.
-- include shared/job
local lane = redis.call('HGET', word_key(given.word), 'lane')
if not lane then return 0 end
redis.call('ZREM', lane_key(lane), given.word)
redis.call('ZREM', P .. 'undelivered', given.word)
redis.call('UNLINK', word_key(given.word))
return 1
