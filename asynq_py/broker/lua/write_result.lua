-- write_result: keep what a running task reports.
--
-- KEYS  1 task  2 lease
-- ARGV  1 task ID  2 lease token  3 result
-- Returns 1 written, 0 the task is no longer ours (nothing is changed then, and no hash is made: Q-14).
-- Peer  asynq (Go) internal/rdb/rdb.go WriteResult; wire format 5.18.
-- include _lease
local task, lease = KEYS[1], KEYS[2]
local id, token, result = ARGV[1], ARGV[2], ARGV[3]
if not owns(lease, id, token) or redis.call('HEXISTS', task, 'msg') == 0 then
  return 0
end
redis.call('HSET', task, 'result', result)
return 1
