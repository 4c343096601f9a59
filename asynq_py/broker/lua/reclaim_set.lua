-- reclaim_set: give tasks of a set back to their group whose aggregation did not end in time: one step.
--
-- KEYS  1 aggregation_sets  2 groups
-- ARGV  1 group key prefix  2 task key prefix  3 now, unix seconds  4 tasks given back at most
--       5 when to look again at a set whose group's key is no sorted set, unix seconds
-- Returns how many left the oldest of these sets, or -1: there is none. The tasks come back with their old
-- times, and the group is listed (Q-04). IDs without a task are dropped.
-- Peer  asynq (Go) internal/rdb/rdb.go reclaimStateAggregationSetsCmd; wire format 5.14.
local sets, groups = unpack(KEYS)
local group_prefix, prefix, now, step, again = unpack(ARGV)
local set = redis.call('ZRANGEBYSCORE', sets, '-inf', now, 'LIMIT', 0, 1)[1]
if not set then
  return -1
end
redis.call('SCARD', groups)
local name = string.match(string.sub(set, #group_prefix + 1), '^(.*):[^:]*$')
local is_ours = name and string.sub(set, 1, #group_prefix) == group_prefix -- else it may be of another slot
if is_ours then
  redis.call('EXISTS', set, sets) -- a Cluster where it has not come yet ends the call here
end
if not is_ours or redis.call('TYPE', set).ok ~= 'zset' then
  redis.call('ZREM', sets, set) -- nothing to give back
  return 0
end
local group = group_prefix .. name
local kind = redis.call('TYPE', group).ok
if kind ~= 'zset' and kind ~= 'none' then
  redis.call('ZADD', sets, again, set)
  return 0
end
redis.call('EXISTS', group, sets)
local members = redis.call('ZRANGE', set, 0, step - 1, 'WITHSCORES')
local is_all = redis.call('ZCARD', set) <= #members / 2 -- asked now: a slot on the move could not say afterwards
local exists = {}
for i = 1, #members, 2 do
  exists[i] = redis.call('EXISTS', prefix .. members[i]) == 1
  if not exists[i] then
    redis.call('EXISTS', prefix .. members[i], sets)
  end
end
for i = 1, #members, 2 do
  redis.call('ZREM', set, members[i])
  if exists[i] then
    redis.call('ZADD', group, members[i + 1], members[i])
    redis.call('SADD', groups, name)
  end
end
if is_all then
  redis.call('ZREM', sets, set)
end
return #members / 2
