-- list_group: find out whether tasks wait in a group that is not listed, so that nobody would see it, and list it.
--
-- KEYS  1 group  2 groups  3 aggregation_sets
-- ARGV  1 name of the group  2 task key prefix  3 "1": list it; "0": only look
-- Returns 1: it was not listed; else 0, and nothing is changed. A set that is just being aggregated is no group, nor is one that
-- its first task does not name.
-- Peer  none in asynq (Go), whose reclaim leaves such groups (Q-04, Q-05); wire format 5.14.
local group, groups, sets = unpack(KEYS)
local name, prefix, mend = unpack(ARGV)
if redis.call('SISMEMBER', groups, name) == 1 or redis.call('ZSCORE', sets, group) then
  return 0
end
local first = redis.pcall('ZRANGE', group, 0, 0)
if first.err or not first[1] or redis.call('HGET', prefix .. first[1], 'group') ~= name then
  return 0
end
if mend == '1' then
  redis.call('SADD', groups, name)
end
return 1
