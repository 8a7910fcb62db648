#!lua flags=allow-oom
-- Take calls from an account's budget of this day (UTC, Redis's clock), before they are made.
-- Arguments: account, class (a, b, c), want (calls), price (nanodollars a call), owed (calls that
--   were made while Redis was away: counted whatever is left), and the limits of the day where
--   there are some: most_b, most_c (calls), most_nano (nanodollars).
-- Answer: how many calls are granted, and the seconds until the next day.
-- Few at a time are given when little is left, so that what lies with one process keeps no
-- other from the rest.
-- Full Redis: allows it: a day has one small hash an account.
-- include shared/job
local DAYS_KEPT = 3
local key = P .. 'budget:' .. given.account .. ':' .. math.floor(NOW / DAY)
local class = given.class
if given.owed > 0 then
  redis.call('HINCRBY', key, class, given.owed)
  redis.call('HINCRBY', key, 'nano', given.owed * given.price)
end
local used = tonumber(redis.call('HGET', key, class) or 0)
local most = ({b = given.most_b, c = given.most_c})[class]
local left = most and most - used or math.huge
if given.most_nano and given.price > 0 then
  local nano = tonumber(redis.call('HGET', key, 'nano') or 0)
  left = math.min(left, math.floor((given.most_nano - nano) / given.price))
end
local granted = math.max(0, math.min(given.want, left, math.max(1, math.floor(left / 64))))
if granted > 0 then
  redis.call('HINCRBY', key, class, granted)
  redis.call('HINCRBY', key, 'nano', granted * given.price)
end
redis.call('HSET', key, 'most', cjson.encode({b = given.most_b, c = given.most_c, nano = given.most_nano}))
redis.call('EXPIRE', key, DAYS_KEPT * DAY)
return {granted, math.ceil(DAY - NOW % DAY)}
