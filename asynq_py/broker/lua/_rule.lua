-- Included by scripts that store unique tasks with a rule. Does the holder of a lock keep others off no more? By the rule,
-- and by the state in which it is, so it does not matter who runs it. Returns that, and its state, or false: it is gone.
local OVER = {
  start = {active = 1, retry = 1, archived = 1, completed = 1},
  success = {completed = 1},
  ['end'] = {completed = 1, archived = 1},
  ttl = {},
}

local function is_over(rule, other)
  local state = redis.pcall('HGET', other, 'state')
  if type(state) == 'table' then
    redis.call('EXISTS', other) -- if a Cluster is just moving it away, the call ends here
    state = false
  end
  if state then
    return OVER[rule][state] ~= nil, state
  end
  return rule ~= 'ttl', false
end
