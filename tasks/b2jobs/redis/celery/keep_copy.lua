#!lua flags=allow-oom
-- Keep a copy of another application's message until it is acknowledged, as kombu does.
-- Arguments: index and copies (kombu's keys, behind the prefix), tag, at (time). Bytes: the copy.
-- Full Redis: allows it: the message was just removed from its queue.
local given = cjson.decode(ARGV[1])
redis.call('ZADD', KEYS[1] .. given.index, given.at, given.tag)
redis.call('HSET', KEYS[1] .. given.copies, given.tag, ARGV[2])
