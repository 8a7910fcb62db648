#!lua flags=allow-oom
-- Drop the staged bytes of producers that died, and of ended jobs that were kept for a retry.
-- Arguments: most.
-- Answer: how many were due; as many as *most* means that there may be more.
-- Full Redis: allows it, since it frees memory.
-- include shared/job
return sweep_staged(given.most)
