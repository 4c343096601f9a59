-- delete_task: forget one task that is not running, and give its unique lock back.
--
-- KEYS  1 groups
-- ARGV  1 task ID  2 queue key prefix  3 key of the lock that its message names, or ""
-- Returns "OK"; or, and nothing is changed then, "GONE", "ACTIVE", "AGGREGATING" (in a set that is being aggregated) or
-- "ELSEWHERE" (not where its state says).
-- Peer  asynq (Go) internal/rdb/inspect.go deleteTaskCmd; wire format 7.11.
-- include _find
-- include _unlock
local groups = KEYS[1]
local id, prefix = ARGV[1], ARGV[2]
local answer, state, source, group = find(prefix, id, 'deleted')
if answer then
  return answer
end
redis.call('SCARD', groups)
local key = prefix .. 't:' .. id
local lock = redis.call('HGET', key, 'unique_key') or ARGV[3] -- Go leaves the field out in groups
if not take(id, state, source, group, groups) then
  return 'ELSEWHERE'
end
unlock(lock, id)
redis.call('DEL', key)
return 'OK'
