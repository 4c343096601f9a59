-- remove_queue: forget all that is left of a queue without tasks.
--
-- KEYS  1 active  2 pending  3 scheduled  4 retry  5 archived  6 completed  7 aggregation sets  8 groups
--       9 lease  10 paused  then counters
-- ARGV  1 group key prefix; then the names of groups that are listed and may be empty
-- Returns "OK"; or, and nothing is changed then, "ACTIVE" (tasks are running) or "NOT EMPTY".
-- Peer  asynq (Go) internal/rdb/inspect.go removeQueueCmd, which leaves much behind (Q-16); wire format 7.13.
local active, groups = KEYS[1], KEYS[8]
local prefix = ARGV[1]
if redis.call('LLEN', active) > 0 then
  return 'ACTIVE'
end
if redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]) > 0 then
  return 'NOT EMPTY'
end
local listed = 0
for i = 2, #ARGV do
  listed = listed + redis.call('SISMEMBER', groups, ARGV[i])
  if redis.call('EXISTS', prefix .. ARGV[i]) == 1 then
    return 'NOT EMPTY'
  end
end
if redis.call('SCARD', groups) > listed then -- tasks came into a group meanwhile
  return 'NOT EMPTY'
end
for _, key in ipairs(KEYS) do
  redis.call('EXISTS', key) -- a Cluster that is just moving one away ends the call here
end
for _, key in ipairs(KEYS) do
  redis.call('DEL', key)
end
return 'OK'
