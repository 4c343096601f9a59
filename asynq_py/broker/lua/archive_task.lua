-- archive_task: put one task aside that waits somewhere or is kept.
--
-- KEYS  1 archived  2 groups
-- ARGV  1 task ID  2 queue key prefix  3 now, unix seconds  4 archived before this time: forgotten
--       5 tasks the archive keeps  6 tasks forgotten at most in one call
-- Returns "OK"; or, and nothing is changed then, "GONE", "ACTIVE", "ALREADY" archived, "AGGREGATING" (in a set that is
-- being aggregated) or "ELSEWHERE" (not where its state says). What the archive forgets goes with hash and lock (Q-11).
-- Peer  asynq (Go) internal/rdb/inspect.go archiveTaskCmd; wire format 7.9.
-- include _find
-- include _unlock
-- include _trim
local archived, groups = KEYS[1], KEYS[2]
local id, prefix, now = ARGV[1], ARGV[2], ARGV[3]
local answer, state, source, group = find(prefix, id, 'archived')
if answer then
  return answer
end
redis.call('ZCARD', archived)
redis.call('SCARD', groups)
if not take(id, state, source, group, groups) then
  return 'ELSEWHERE'
end
redis.call('ZADD', archived, now, id)
redis.call('HSET', prefix .. 't:' .. id, 'state', 'archived')
redis.call('HDEL', prefix .. 't:' .. id, 'pending_since')
trim(archived, prefix .. 't:', ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]))
return 'OK'
