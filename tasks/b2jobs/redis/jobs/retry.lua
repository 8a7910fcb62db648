#!lua
-- Queue a failed or cancelled job again; others are left alone.
-- Arguments: id; signature, where it is signed anew.
-- Answer: the state after the call, empty where there is no such job; `bytes_gone` where what
--   its producer handed over is not there any more.
-- Full Redis: refuses it, as it does new jobs.
-- include shared/job
local state = field(given.id, 'state')
if state ~= 'failed' and state ~= 'cancelled' then return state end
if not keep_staged(given.id) then return 'bytes_gone' end
reopen(given.id)
return 'queued'
