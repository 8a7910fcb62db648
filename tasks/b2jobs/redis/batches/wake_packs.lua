#!lua flags=allow-oom
-- Ring for the packs of a batch that wait, a hundred at a time.
-- Arguments: id, after (the number of a pack), reason (what they wait for; else all).
-- Answer: the number of the last, to go on from; empty where there are no more.
-- Full Redis: allows it.
-- include shared/batch
return wake_packs(given.id, given.reason, given.after)
