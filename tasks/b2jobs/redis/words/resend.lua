#!lua flags=allow-oom
-- Tell a word again that was given up, or now one that waits.
-- Arguments: word.
-- Answer: 1, or 0 where there is no such word.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
local lane = redis.call('HGET', word_key(given.word), 'lane')
if not lane then return 0 end
redis.call('ZREM', P .. 'undelivered', given.word)
redis.call('PERSIST', word_key(given.word))
redis.call('HSET', word_key(given.word), 'since', seconds(NOW))
queue_word(given.word, lane)
return 1
