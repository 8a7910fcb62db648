#!lua flags=allow-oom
-- Add to this minute's numbers.
-- Arguments: amounts: {name: amount}.
-- Full Redis: allows it: a minute has only so many names.
-- include shared/job
for name, amount in pairs(given.amounts) do count(name, amount) end
