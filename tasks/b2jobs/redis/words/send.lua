#!lua flags=allow-oom
-- Send a Celery task at once that belongs to a word, unless it was sent for it already.
-- Arguments: word, id (of the task, and its number among those of this id), list (its queue, behind the prefix). Bytes: the message.
-- Answer: 1 where it was sent now.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
if redis.call('EXISTS', word_key(given.word)) == 0 then return 0 end
if redis.call('HSETNX', word_key(given.word), 'sent:' .. given.id, 1) == 0 then return 0 end
redis.call('LPUSH', ROOT .. given.list, ARGV[2])
return 1
