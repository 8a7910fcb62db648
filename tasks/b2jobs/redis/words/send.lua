#!lua flags=allow-oom
-- Send a Celery task at once that belongs to a word, unless it was sent already: for this word, or
-- for another that has counted the last part of the same chord.
-- Arguments: word, once (what names it), list (its queue, behind the prefix). Bytes: the message.
-- Answer: 1 where it was sent now.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
if redis.call('EXISTS', word_key(given.word)) == 0 then return 0 end
if not redis.call('SET', P .. 'sent:' .. given.once, given.word, 'NX', 'EX', DAY) then return 0 end
redis.call('LPUSH', ROOT .. given.list, ARGV[2])
return 1
