#!lua flags=allow-oom
-- End a job for good, and take the one that is next in line. Called again by who has ended it, since
-- the answer was lost, it ends nothing more.
-- Arguments: id, fence, state, result or failure (JSON), meta, keep (seconds); next, where another
--   is to be taken: queues, kinds, worker, lease, random and longest, see shared/claim.
-- Answer: `ended` and the strays that outdated owners left behind, or `lost`; then, where one was
--   taken, its id and what jobs/claim answers.
-- Full Redis: allows it.
-- include shared/claim
local job = fields(given.id, {'fence', 'state'})
if is_owner(job, given.fence) then
  finish(given.id, given.state, given)
elseif given.fence == '' or job.fence ~= given.fence or job.state ~= given.state then
  return {'lost', {}}
end
local strays = take_strays(given.id)
if not given.next then return {'ended', strays} end
-- What is wrong with another job is not in the way of this one's end: Celery brings it, and says so.
local is_well, id, found = pcall(claim_next, given.next.queues, given.next.kinds, given.next)
return {'ended', strays, is_well and id or nil, is_well and found or nil}
