#!lua
-- A new job, unless its key or its id has one already.
-- Arguments and answer: those of shared/submit.
-- Full Redis: refuses it.
-- include shared/submit
return submit(given)
