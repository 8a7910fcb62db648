#!lua
-- New jobs, in their order, as far as none is refused.
-- Arguments: jobs, a list of those of shared/submit.
-- Answer: its answer for each; where one is refused that is the last.
-- Full Redis: refuses it.
-- include shared/submit
local answers = {}
for n, job in ipairs(given.jobs) do
  local answer = submit(job)
  answers[n] = answer
  if type(answer) ~= 'string' then break end
end
return answers
