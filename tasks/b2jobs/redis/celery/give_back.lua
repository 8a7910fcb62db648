#!lua flags=allow-oom
-- Put a message back where it is taken next.
-- Arguments: list (kombu's key, behind the prefix). Bytes: the message.
-- Full Redis: allows it: the message was just removed from its queue.
local given = cjson.decode(ARGV[1])
redis.call('RPUSH', KEYS[1] .. given.list, ARGV[2])
