-- run_task: make one task pending, wherever it waits or is kept.
--
-- KEYS  1 pending  2 groups
-- ARGV  1 task ID  2 queue key prefix  3 now, unix nanoseconds
-- Returns "OK"; or, and nothing is changed then, "GONE", "ACTIVE", "ALREADY" pending, "AGGREGATING" (in a set that is
-- being aggregated) or "ELSEWHERE" (not where its state says).
-- Peer  asynq (Go) internal/rdb/inspect.go runTaskCmd; wire format 7.7.
-- include _find
local pending, groups = KEYS[1], KEYS[2]
local id, prefix, now = ARGV[1], ARGV[2], ARGV[3]
local answer, state, source, group = find(prefix, id, 'pending')
if answer then
  return answer
end
redis.call('LLEN', pending)
redis.call('SCARD', groups)
take(id, state, source, group, groups)
redis.call('LPUSH', pending, id)
redis.call('HSET', prefix .. 't:' .. id, 'state', 'pending', 'pending_since', now)
return 'OK'
