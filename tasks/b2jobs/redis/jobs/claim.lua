#!lua flags=allow-oom
-- Take a queued job.
-- Arguments: id, worker, lease (seconds), random (part of the fencing number), longest (bytes of a
--   request); failure (JSON), meta and keep for a job that has expired, which is left alone without.
-- Answer: the state it is in, or `unknown`, or `expired`; or `claimed`, fence, attempt, kind,
--   request (empty where it is longer than any that was accepted), seconds since its first start
--   without those it has waited for its budget,
--   retry, losses, cancel, priority, key, signature, 1 where that is used up, the job's place in
--   a trace, since when it was not run, and what it waited for.
-- Full Redis: allows it.
-- include shared/claim
return claim(given.id, given)
