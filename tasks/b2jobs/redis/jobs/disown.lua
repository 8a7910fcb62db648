#!lua flags=allow-oom
-- Leave what an outdated owner made to whoever ends the job.
-- Arguments: id, made.
-- Answer: the state and, when the job has ended, its result: then the caller removes what is
--   not in it.
-- Full Redis: allows it.
-- include shared/job
local state = field(given.id, 'state')
if is_open(state) then add_stray(given.id, given.made) end
return {state, field(given.id, 'result')}
