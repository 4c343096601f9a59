-- list_group: find out whether tasks wait in a group that is not listed, so that nobody would see it, and list it.
--
-- KEYS  1 group  2 groups  3 aggregation_sets
-- ARGV  1 name of the group  2 task key prefix  3 "1": list it; "0": only look
-- Returns 1: one of its first 100 tasks names it, or is gone, so it is taken out; else 0, and nothing is changed. A set that
-- is just being aggregated is no group, nor is one that no task names.
-- Peer  none in asynq (Go), whose reclaim leaves such groups (Q-04, Q-05); wire format 5.14.
local group, groups, sets = unpack(KEYS)
local name, prefix, mend = unpack(ARGV)
if redis.call('SISMEMBER', groups, name) == 1 or redis.call('ZSCORE', sets, group) then
  return 0
end
local ids = redis.pcall('ZRANGE', group, 0, 99)
if ids.err then
  return 0
end
local is_named, gone = false, {}
for _, id in ipairs(ids) do
  local key = prefix .. id
  local task = redis.pcall('HMGET', key, 'msg', 'group')
  if task.err then
    redis.call('EXISTS', key) -- if a Cluster is just moving it away, the call ends here, before anything is changed
  elseif not task[1] then
    redis.call('EXISTS', key, group) -- or where it has not come yet
    gone[#gone + 1] = id
  end
  is_named = is_named or task[2] == name
end
if not is_named and not gone[1] then
  return 0
end
if mend == '1' then
  for _, id in ipairs(gone) do
    redis.call('ZREM', group, id)
    redis.call('DEL', prefix .. id)
  end
  if is_named then
    redis.call('SADD', groups, name)
  end
end
return 1
