"""The Lua that producers and workers share: one place for how a record changes state.

Every script begins with this library, so submitting, cancelling, claiming, finishing and
sweeping move a job in the same way and write its doorbell and its Celery result in the same
breath. Time is Redis's own clock, in seconds. KEYS[1] is the key prefix.

Keys, behind the prefix and `b2jobs:`

    job:ID            hash: the record
    journal:ID        hash: what of a large transfer is done
    strays:ID         set: what outdated owners made, to be removed when the job ends
    followers:ID      set: Celery ids that share the result of a job with the same key
    key:KEY           the id of the job that was submitted under KEY
    queued:PRIORITY   sorted set of ids by the time of their last doorbell
    running           sorted set of ids by the end of their lease
    waiting           sorted set of ids by the time they are due
    succeeded, failed, cancelled   sorted sets of ids by the time they ended

`fence` in a record is the fencing number of its owner: the attempt's number and a random
part, so that a number is not given twice even when a restart of Redis lost the last second.

A doorbell is a Celery message (protocol 2, as kombu's Redis transport stores it) without
arguments; the record has them. `tests/contract` compares it with one that Celery made.
"""

from __future__ import annotations

import json

from b2jobs.requests import Priority

QUEUES: dict[Priority, str] = {"high": "b2jobs.high", "normal": "b2jobs", "low": "b2jobs.low"}

# base64 of [[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]
_BODY = (
    "W1tdLCB7fSwgeyJjYWxsYmFja3MiOiBudWxsLCAiZXJyYmFja3MiOiBudWxsLCAiY2hhaW4iOiBudWxsLCAi"
    "Y2hvcmQiOiBudWxsfV0="
)
_DOORBELL = json.dumps(
    {
        "body": _BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": "b2jobs.@kind@",
            "id": "@id@",
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": "@id@",
            "parent_id": None,
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "origin": "b2jobs",
            "ignore_result": True,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
            "rung": "@rung@",
        },
        "properties": {
            "correlation_id": "@id@",
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "@queue@"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "@id@-@rung@",
        },
    }
)

# Put before a script that ends jobs or lets them go on: a full Redis refuses new jobs, but
# must not refuse what frees its memory.
ALLOW_FULL = "#!lua flags=allow-oom\n"

LIBRARY = (
    f"""
local ROOT = KEYS[1]
local P = ROOT .. 'b2jobs:'
local DOORBELL = [==[{_DOORBELL}]==]
local QUEUES = {{high='{QUEUES["high"]}', normal='{QUEUES["normal"]}', low='{QUEUES["low"]}'}}
"""
    + """
local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function seconds(value) return string.format('%.6f', value) end

local function job_key(id) return P .. 'job:' .. id end

local function field(id, name) return redis.call('HGET', job_key(id), name) or '' end

-- The sorted set that holds a job in a state.
local function shelf(state, priority)
  if state == 'queued' then return P .. 'queued:' .. priority end
  return P .. state
end

local function leave(id)
  redis.call('ZREM', shelf(field(id, 'state'), field(id, 'priority')), id)
end

-- When the bell that is taken next was rung; nil where the queue holds none of ours.
local function next_bell(queue)
  local oldest = nil
  for _, message in ipairs(redis.call('LRANGE', ROOT .. queue, -8, -1)) do
    local rung = tonumber(string.match(message, '"rung": "([%d.]+)"') or '')
    if rung and (not oldest or rung < oldest) then oldest = rung end
  end
  return oldest
end

-- Queue a job and wake a worker. In front of the queue it takes the place (and the time)
-- of the bell that was next, so that bells stay in the order of their times.
local function enqueue(id, in_front)
  local priority = field(id, 'priority')
  local queue = QUEUES[priority]
  local rung = NOW
  if in_front then rung = math.min(next_bell(queue) or NOW, NOW) end
  local bells = redis.call('HINCRBY', job_key(id), 'bells', 1)  -- tells delivery tags apart
  local values = {id = string.sub(cjson.encode(id), 2, -2), kind = field(id, 'kind'),
                  queue = queue, rung = seconds(rung)}
  local message = string.gsub(DOORBELL, '@(%a+)@', values)
  message = string.gsub(message, '("delivery_tag": "[^"]+)', '%1-' .. bells)
  redis.call('HSET', job_key(id), 'state', 'queued', 'reason', '', 'until', '')
  redis.call('ZADD', shelf('queued', priority), seconds(rung), id)
  redis.call(in_front and 'RPUSH' or 'LPUSH', ROOT .. queue, message)
end

-- Tell whoever asks Celery: the result is stored as Celery's Redis backend stores it.
local function tell(id, meta, ttl)
  local key = ROOT .. 'celery-task-meta-' .. id
  local text = string.sub(meta, 1, -2) .. ', "task_id": ' .. cjson.encode(id) .. '}'
  redis.call('SETEX', key, ttl, text)
  redis.call('PUBLISH', key, text)
end

-- End a job for good. *name* is the field that holds *value*: result or failure.
local function finish(id, state, name, value, meta, ttl)
  ttl = math.ceil(tonumber(ttl))
  leave(id)
  if name ~= 'failure' then redis.call('HDEL', job_key(id), 'failure') end
  redis.call('HSET', job_key(id), 'state', state, 'reason', '', 'until', '', name, value,
             'ended', seconds(NOW))
  redis.call('ZADD', shelf(state), seconds(NOW), id)
  redis.call('EXPIRE', job_key(id), ttl)
  redis.call('DEL', P .. 'journal:' .. id)
  local key = field(id, 'key')
  if key ~= '' then redis.call('EXPIRE', P .. 'key:' .. key, ttl) end
  tell(id, meta, ttl)
  for _, follower in ipairs(redis.call('SMEMBERS', P .. 'followers:' .. id)) do
    tell(follower, meta, ttl)
  end
  redis.call('DEL', P .. 'followers:' .. id)
end
"""
)
