#!lua flags=allow-oom
-- The other way round: a worker hands a chunk to the producer that waits for it.
-- Arguments: id, number, most (chunks that may wait). Bytes: the chunk.
-- Answer: fed, or full.
-- Full Redis: allows it: the job was accepted, and few chunks may wait.
-- include shared/batch
return hand_over(given.id, given.number, ARGV[2], given.most)
