-- take_set: move the oldest tasks of a group into a set of their own, if the group is due.
--
-- KEYS  1 group  2 set  3 aggregation_sets
-- ARGV  1 tasks that are enough, or 0  2 first task added by (unix seconds), or ""  3 last task added by
--       4 tasks taken at most  5 when the set goes back to its group, unix seconds
-- Returns how many were taken; 0: the group is not due.
-- The group stays listed in `groups` until the set is finished, so that it can be seen even after a Go server
-- gave the tasks back (Q-04).
-- Peer  asynq (Go) internal/rdb/rdb.go aggregationCheckCmd; wire format 5.14.
-- include _due
local group, set, sets = unpack(KEYS)
local size, oldest, newest, most, ends_at =
  tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
redis.call('ZCARD', set) -- keys of another type are refused before anything is written
redis.call('ZCARD', sets)
local n = math.min(due(group, size, oldest, newest), most)
if n == 0 then
  return 0
end
local members = redis.call('ZRANGE', group, 0, n - 1, 'WITHSCORES')
redis.call('ZADD', sets, ends_at, set)
for i = 1, #members, 2 do
  redis.call('ZADD', set, members[i + 1], members[i])
end
redis.call('ZREMRANGEBYRANK', group, 0, n - 1)
return n
