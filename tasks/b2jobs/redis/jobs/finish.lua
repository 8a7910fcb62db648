#!lua flags=allow-oom
-- End a job for good.
-- Arguments: id, fence, state, result or failure (JSON), meta, keep (seconds).
-- Answer: `ended` and the strays that outdated owners left behind, or `lost`.
-- Full Redis: allows it.
-- include shared/job
if not owns(given.id, given.fence) then return {'lost', {}} end
finish(given.id, given.state, given)
return {'ended', take_strays(given.id)}
